"""What holds for runs on a cluster and needs none to be tested: passes, what every node must show, sentences."""

import pickle
import sys
from dataclasses import replace

import many
import numpy as np
import pytest

import eyeline
from eyeline.dataset import cluster
from eyeline.dataset.items import source
from eyeline.dataset.node import kit, opened
from eyeline.dataset.ray_pool import passes
from eyeline.dataset.running import Opener
from eyeline.dataset.store import DONE
from eyeline.dataset.work import Work
from eyeline.errors import InputError, MissingDependencyError, ModelError

CHUNKS = [(place,) for place in range(6)]


class LostError(Exception):
    """Stands for what Ray raises when a node is gone."""


def run(stream, judge=lambda rows: ("judged", rows)):
    return list(passes(stream, judge, CHUNKS, LostError))


def test_what_a_pass_leaves_out_goes_into_the_next():
    calls = []

    def stream(some):
        calls.append(list(some))
        yield from ((rows, rows) for rows in some if len(calls) > 1 or rows not in [(1,), (4,)])

    assert sorted(run(stream)) == CHUNKS
    assert calls == [CHUNKS, [(1,), (4,)]]


def test_a_chunk_that_is_always_lost_is_judged_by_itself():
    found = run(lambda some: ((rows, rows) for rows in some if rows != (3,)))
    assert sorted(found, key=str) == sorted([(0,), (1,), (2,), ("judged", (3,)), (4,), (5,)], key=str)


def test_a_pass_that_breaks_off_blames_nobody():
    """However often: each brings one chunk, and none of the others is called lost."""

    def stream(some):
        yield some[-1], some[-1]
        raise LostError

    assert sorted(run(stream)) == CHUNKS


def test_a_cluster_that_computes_nothing_is_a_sentence():
    def stream(some):
        raise LostError("no node has eyeline")
        yield

    with pytest.raises(ModelError, match=r"the cluster must compute, but nothing came of it 3 times \(no node has"):
        run(stream)


def test_a_long_run_goes_in_passes(monkeypatch):
    monkeypatch.setattr("eyeline.dataset.ray_pool.SPAN", 4)
    sizes = []

    def stream(some):
        sizes.append(len(some))
        yield from ((rows, rows) for rows in some)

    assert sorted(run(stream)) == CHUNKS
    assert sizes == [4, 2]


@pytest.fixture
def given(tmp_path, monkeypatch):
    """What a process of a cluster gets, and nothing that Ray must answer."""
    monkeypatch.setattr("eyeline.dataset.node._address", lambda: "10.0.0.7")
    store = many.run(tmp_path / "maps.zarr", many.images(4))
    work = Work(many.METHOD, None, 4, False, store.manifest.image)
    opener = Opener(many.scores, {"input_size": many.SIDE})
    return kit(work, opener, source(many.images(4)), store.manifest, pickle.dumps)


def test_a_node_of_the_same_kind_is_taken(given):
    block = given.work(opened(given), given.source, (0, 1, 2, 3))
    assert (block.status == DONE).all()


def test_a_node_that_computes_other_bits_is_refused(given, monkeypatch):
    monkeypatch.setattr(many, "WEIGHTS", np.nextafter(many.WEIGHTS, 2))
    with pytest.raises(InputError, match=r"same numbers, bit for bit, but other ones .*'image 0' \(node 10\.0\.0\.7\)"):
        opened(given)


def test_numbers_that_differ_by_themselves_cannot_be_compared(tmp_path, given):
    chance = np.random.default_rng(0)
    fickle = Opener(eyeline.load(lambda images: many.scores(images) + chance.random() / 100, input_size=many.SIDE))
    made = kit(given.work, fickle, given.source, given.manifest, lambda opener: b"")
    assert made.numbers == ""
    assert given.numbers != ""


def test_a_node_with_other_kernels_is_refused(given, monkeypatch):
    monkeypatch.setattr("eyeline.dataset.manifest.backend", lambda: {**given.manifest.backend, "kernels": "none"})
    with pytest.raises(InputError, match=r"its backend's kernels is .*'none'.*\(node 10\.0\.0\.7\)"):
        opened(given)


def test_a_node_that_sees_other_images_is_refused(given):
    with pytest.raises(InputError, match="same images, but 'image 0' is another one here"):
        opened(replace(given, source=source(many.images(4, seed=1))))


def test_a_node_without_the_files_is_refused(tmp_path, given):
    from PIL import Image

    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    files = source(tmp_path)
    (tmp_path / "a.png").unlink()
    with pytest.raises(InputError, match=r"must be readable, but .*a\.png.*\(node 10"):
        opened(replace(given, source=files))


def test_paths_do_not_depend_on_the_folder_that_a_process_is_in(tmp_path, monkeypatch):
    from PIL import Image

    (tmp_path / "photos").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "photos" / "a.png")
    (tmp_path / "table.csv").write_text("image\nphotos/a.png\n")
    monkeypatch.chdir(tmp_path)
    both = source("photos"), source("table.csv")
    monkeypatch.chdir("/")
    assert both[0].read(0)[1] == both[1].read(0)[1]


@pytest.mark.parametrize("address", ["nowhere", "10.0.0.1", "ray://10.0.0.1:10001", ":6379", "host:port", ""])
def test_what_is_no_address_is_a_sentence(address):
    with pytest.raises(InputError, match="--ray must be local, auto or HOST:PORT, but got"):
        cluster(address)


def test_an_address_where_nobody_answers_is_a_sentence():
    with pytest.raises(InputError, match=r"a Ray cluster must answer at '127\.0\.0\.1:1', but none does"):
        cluster("127.0.0.1:1")


def test_without_ray_the_sentence_says_the_pip_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"ray must be installed .* pip install 'eyeline\[ray\]'"):
        cluster("local")
