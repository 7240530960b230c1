"""Memory that is used again: never while anything still looks at it, and no more of it than was allowed."""

import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from eyeline.incremental import blocks
from eyeline.incremental.blocks import Blocks, empty, reused
from eyeline.incremental.run import Engine
from eyeline.models.torch_graph import capture
from eyeline.window import grid


def place(tensor):
    return tensor.untyped_storage().data_ptr()


def test_what_nobody_looks_at_is_used_again():
    with reused(Blocks(2**20)):
        first = empty(30, 4)
        was = place(first)
        del first
        assert place(empty(29, 4)) == was
        assert place(empty(10, 4)) != was  # much smaller
        assert place(empty(300, 4)) != was


def test_a_view_keeps_its_block():
    with reused(Blocks(2**20)):
        first = empty(30, 4)
        view, was = first[3:5].reshape(-1), place(first)
        del first
        assert place(empty(30, 4)) != was
        del view
        assert place(empty(30, 4)) == was


def test_outside_nothing_is_kept():
    kept = Blocks(2**20)
    with reused(kept):
        inner = empty(8, 8)
        with pytest.raises(ZeroDivisionError), reused(Blocks(0)):
            1 / 0  # noqa: B018
        assert empty(8, 8).shape == (8, 8)
    assert len(kept.free) == 1
    was = place(inner)
    del inner
    assert len(kept.free) == 2
    assert place(empty(8, 8)) != was
    assert empty(0, 5).shape == (0, 5)


def test_no_more_is_kept_than_allowed():
    kept = Blocks(1000)
    with reused(kept):
        every = [empty(20, 4) for _ in range(5)]
        del every
    assert 0 < sum(each.nbytes for each in kept.free) <= 1000


def test_each_thread_has_its_own():
    kept, taken = Blocks(2**20), []

    def take():
        with reused(kept):
            taken.append(empty(30, 4))

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    taken.clear()  # goes back to a thread that has ended
    assert not kept.free


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9), st.integers(0, 3)), max_size=60))
def test_no_two_that_live_share_memory(steps):
    """Every tensor keeps the number it was filled with, whatever others come and go."""
    live = []
    with reused(Blocks(2000)):
        for number, (rows, columns, goes) in enumerate(steps):
            live.append((empty(rows, columns).fill_(number), number))
            del live[goes : goes + 1 if goes % 2 else goes]
            assert all((each == value).all() for each, value in live)


def outputs(engine, boxes):
    generator = np.random.default_rng(0)
    ground, patch = generator.normal(0, 1, (2, 1, 23, 19, 2)).astype(np.float32)
    return np.concatenate([raw for _, raw in engine.run(ground, patch, boxes)])


def network():
    torch.manual_seed(0)
    layers = torch.nn.Conv2d(2, 64, 3, padding=1), torch.nn.Conv2d(64, 64, 1), torch.nn.Flatten()
    return torch.nn.Sequential(*layers, torch.nn.Linear(64 * 23 * 19, 5)).eval()


@pytest.mark.parametrize("live", [True, False])
def test_a_sweep_that_keeps_memory_gives_the_numbers_of_one_that_does_not(monkeypatch, live):
    """Also that this would be seen: where blocks go back while they are in use, numbers change."""
    boxes, graph = grid((23, 19), 5, 2), capture(network(), (23, 19), 2)
    plain = outputs(without(graph), boxes)
    if not live:
        monkeypatch.setattr(blocks.weakref, "finalize", lambda _, give_back, *given: give_back(*given))
    kept = outputs(Engine(graph, chunk=4), boxes)
    assert np.array_equal(kept, plain) is live


def without(graph):
    engine = Engine(graph, chunk=4)
    engine._blocks = Blocks(0)
    return engine
