"""Runs: the maps of a plain call, whatever ends the run in the middle, whoever computes them."""

import errno
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import many
import numpy as np
import pytest
from PIL import Image

import eyeline
from eyeline.dataset import order, select
from eyeline.dataset.store import DONE, REFUSED, open_store
from eyeline.errors import InputError, ModelError


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An unbroken run."""
    return many.run(tmp_path_factory.mktemp("whole") / "maps.zarr", many.images(14))


def told(path, given, **words):
    found = []
    store = many.run(path, given, tell=found.append, **words)
    return store, found[0]


def test_maps_are_those_of_plain_calls(whole):
    model = eyeline.load(many.scores, input_size=many.SIDE)
    for row, image in enumerate(many.images(14)):
        plain = many.METHOD(model, image[None])
        np.testing.assert_allclose(whole["maps"][row], plain.maps[0], rtol=0, atol=1e-6)
        np.testing.assert_allclose(whole["scores"][row], plain.scores[0], rtol=0, atol=1e-6)
        np.testing.assert_array_equal(whole["weights"][row], plain.weights[0])
    assert (whole.status == DONE).all()


def test_zarr_alone_can_read_it(whole):
    import zarr

    group = zarr.open_group(str(whole.path), mode="r")
    assert group["maps"].shape == (14, many.SIDE, many.SIDE)
    assert group["maps"].chunks == (4, many.SIDE, many.SIDE)


def test_a_second_start_computes_nothing(whole):
    before = whole.content()
    store, said = told(whole.path, many.images(14), model=many.scores)
    assert (said.done, said.found) == (0, 14)
    assert store.content() == before


def failing(monkeypatch, after, error):
    """Let the disk fail at the write after so many."""
    from zarr.storage import _local

    put, count = _local._put, iter(range(10**6))

    def broken(*arguments, **words):
        if next(count) >= after:
            raise error
        return put(*arguments, **words)

    monkeypatch.setattr(_local, "_put", broken)


@pytest.mark.parametrize("after", [0, 3, 7, 11, 12, 13, 14, 15, 16, 17, 18, 19, 25, 31])
def test_an_end_at_any_write_loses_nothing(whole, tmp_path, monkeypatch, after):
    path = tmp_path / "maps.zarr"
    with monkeypatch.context() as patch:
        failing(patch, after, Killed())
        with pytest.raises(Killed):
            many.run(path, many.images(14))
    assert many.run(path, many.images(14)).content() == whole.content()


def test_the_store_would_differ_if_an_end_were_taken_for_done(whole, tmp_path, monkeypatch):
    """Sabotage twin: with `status` written first, some end leaves rows that are called done and are not."""
    from eyeline.dataset import store

    def hasty(self, block):
        rows = np.asarray(block.rows)
        store._put(self._group["status"], rows, block.status)
        for name, values in {**block.arrays, "digests": block.digests, "stamps": block.stamps}.items():
            store._put(self._group[name], rows, values)

    differ = False
    for after in range(11, 20):
        path = tmp_path / f"{after}.zarr"
        with monkeypatch.context() as patch:
            patch.setattr(store.Store, "write", hasty)
            failing(patch, after, Killed())
            with pytest.raises(Killed):
                many.run(path, many.images(14))
        monkeypatch.setattr(order, "_is_same", lambda *arguments: True)
        differ |= many.run(path, many.images(14)).content() != whole.content()
    assert differ


def test_a_full_disk_is_a_sentence_and_what_was_done_is_kept(whole, tmp_path, monkeypatch):
    path = tmp_path / "maps.zarr"
    with monkeypatch.context() as patch:
        failing(patch, 22, OSError(errno.ENOSPC, "No space left on device"))
        with pytest.raises(InputError, match=r"must be writable and have room, .*No space left.*What was done is kept"):
            many.run(path, many.images(14))
    store, said = told(path, many.images(14))
    assert said.found > 0
    assert store.content() == whole.content()


def test_killed_processes_leave_the_store_of_an_unbroken_run(tmp_path):
    np.save(tmp_path / "images.npy", many.images(40))
    expected = many.start(tmp_path / "whole.zarr", tmp_path / "images.npy")
    assert expected.wait(120) == 0
    path, chance, done = tmp_path / "maps.zarr", random.Random(0), 0
    for _ in range(4):
        process = many.start(path, tmp_path / "images.npy")
        wanted, until = done + chance.randint(1, 8), time.monotonic() + 120
        while process.poll() is None and time.monotonic() < until and count(path) < wanted:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        done = count(path)
    assert many.start(path, tmp_path / "images.npy").wait(120) == 0
    assert open_store(path).content() == open_store(tmp_path / "whole.zarr").content()


def count(path):
    try:
        return int((open_store(path).status == DONE).sum())
    except InputError:
        return 0


def test_two_processes_give_the_same_store(whole, tmp_path):
    store = many.run(tmp_path / "maps.zarr", many.images(14), workers=2, model="many:scores")
    np.testing.assert_array_equal(store["maps"][:], whole["maps"][:])
    assert (store.status == DONE).all()


def test_a_worker_that_dies_loses_its_images_only(tmp_path, monkeypatch):
    given = many.images(10)
    given[5] = 0
    monkeypatch.setenv("DEADLY", "1")
    store = many.run(tmp_path / "maps.zarr", given, workers=2, model="many:deadly", chunk=2)
    assert store.status.tolist() == [DONE] * 4 + [REFUSED] * 2 + [DONE] * 4
    assert "must not end the process" in store.sentences()[5]
    monkeypatch.delenv("DEADLY")
    again = many.run(tmp_path / "maps.zarr", given, model="many:deadly", chunk=2)
    assert (again.status == DONE).all()


def test_workers_that_die_at_random_times_lose_nothing(whole, tmp_path):
    """Also while they start, when this process is still telling them what they need: more than a pipe holds."""
    given, chance, killed = many.images(300), random.Random(0), []
    ended = threading.Event()

    def kill():
        while len(killed) < 3 and not ended.wait(chance.uniform(0.0, 0.6)):
            found = many.workers()
            if found:
                os.kill(chance.choice(found), signal.SIGKILL)
                killed.append(time.monotonic())

    killer = threading.Thread(target=kill)
    killer.start()
    store = many.run(tmp_path / "maps.zarr", given, workers=2, model="many:slow")
    ended.set()
    killer.join()
    assert killed
    assert (store.status == DONE).all()
    np.testing.assert_array_equal(store["maps"][:], many.run(tmp_path / "one.zarr", given)["maps"][:])


def test_a_model_that_does_not_pickle_is_a_sentence(tmp_path):
    with pytest.raises(InputError, match=r"must pickle to be opened in other processes.*lambda.*package\.module"):
        many.run(tmp_path / "maps.zarr", many.images(3), workers=2, model=lambda images: many.scores(images))


def test_a_process_that_computes_otherwise_is_a_sentence(tmp_path):
    with pytest.raises(InputError, match="its unit is 'probability' and this run's is 'score'"):
        many.run(tmp_path / "maps.zarr", many.images(3), workers=2, model="many:fickle")


def test_processes_that_never_start_are_a_sentence(tmp_path):
    (tmp_path / "script.py").write_text(
        "import eyeline, many\n"
        "eyeline.run('many:scores', many.images(3), 'maps.zarr', many.METHOD, chunk=1, input_size=8, workers=2)\n"
    )
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert "ModelError: a process must start to help with a run" in done.stderr
    assert "if __name__ == '__main__'" in done.stderr


def test_other_kernels_and_versions_are_noticed(whole, monkeypatch):
    from eyeline.dataset import manifest

    monkeypatch.setattr(manifest, "backend", lambda: {"eyeline": "0.0.1", "kernels": "torch operations"})
    with pytest.raises(InputError, match=r"its backend's eyeline is .* and this run's is '0\.0\.1'"):
        many.run(whole.path, many.images(14))


def test_a_framework_that_is_not_torch_is_told_its_threads_too(tmp_path):
    code = (
        "import sys, many; store = many.run(sys.argv[1], many.images(2), model='many:scores', threads=1)\n"
        "assert 'torch' not in sys.modules; print(store.manifest.threads)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.zarr"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1"]


def test_threads_are_one_where_several_compute_and_are_held_to(tmp_path):
    store = many.run(tmp_path / "maps.zarr", many.images(3), workers=2, model="many:scores")
    assert store.manifest.threads == 1
    with pytest.raises(InputError, match="its threads is '1' and this run's is '2'"):
        many.run(store.path, many.images(3), threads=2, model="many:scores")


@pytest.fixture
def photos(tmp_path):
    chance = np.random.default_rng(0)
    for name in ("cat/a", "cat/b", "dog/c", "dog/d", "dog/e"):
        path = tmp_path / "photos" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(chance.integers(0, 256, (12, 12), dtype=np.uint8)).save(path)
    return tmp_path / "photos"


GREY = {"preprocess": eyeline.Preprocess(), "classes": ("cat", "dog", "bird"), "input_size": (many.SIDE, many.SIDE)}


def grey(images):
    return many.scores(images.mean(axis=-1))


def test_refused_images_stop_nothing_and_are_listed(photos, tmp_path):
    (photos / "cat" / "b.png").write_bytes(b"no picture")
    store, said = told(tmp_path / "maps.zarr", photos, model=grey, **GREY)
    assert store.status.tolist() == [DONE, REFUSED, DONE, DONE, DONE]
    assert list(said.refused) == ["cat/b.png"]
    assert "must be" in said.refused["cat/b.png"]
    table = select(store, "status == 'refused'")
    assert table["error"].tolist() == [said.refused["cat/b.png"]]
    model = eyeline.load(grey, **GREY)
    np.testing.assert_allclose(store["maps"][2], many.METHOD(model, photos / "dog" / "c.png").maps[0], atol=1e-6)


def test_an_image_whose_scores_are_no_numbers_does_not_harm_its_neighbours(whole, tmp_path):
    given = many.images(14)
    given[6] = 0.5

    def sometimes(images):
        found = many.scores(images)
        found[(images == 0.5).reshape(len(images), -1).sum(axis=1) > 40] = np.nan
        return found

    store, said = told(tmp_path / "maps.zarr", given, model=sometimes)
    assert list(said.refused) == ["image 6"]
    assert "must be finite" in said.refused["image 6"]
    others = np.delete(np.arange(14), 6)
    np.testing.assert_array_equal(store["maps"][:][others], whole["maps"][:][others])


def test_changed_new_and_gone_files(photos, tmp_path):
    path = tmp_path / "maps.zarr"
    first = many.run(path, photos, model=grey, **GREY)
    before = first["maps"][:]
    os.utime(photos / "dog" / "d.png", ns=(1, 1))  # another time, the same bytes
    Image.new("L", (12, 12), 200).save(photos / "cat" / "a.png")
    Image.new("L", (12, 12), 90).save(photos / "cat" / "aa.png")
    (photos / "dog" / "e.png").unlink()
    store, said = told(path, photos, model=grey, **GREY)
    assert (said.done, said.found, said.gone) == (2, 3, 1)
    assert [item.name for item in store.items] == [
        f"{n}.png" for n in ("cat/a", "cat/b", "dog/c", "dog/d", "dog/e", "cat/aa")
    ]
    np.testing.assert_array_equal(store["maps"][1:5], before[1:])
    assert np.abs(store["maps"][0] - before[0]).max() > 1e-3
    model = eyeline.load(grey, **GREY)
    np.testing.assert_allclose(store["maps"][5], many.METHOD(model, photos / "cat" / "aa.png").maps[0], atol=1e-6)


def test_labels_can_be_the_target(photos, tmp_path):
    store = many.run(tmp_path / "maps.zarr", photos, model=grey, target="label", **GREY)
    np.testing.assert_array_equal(store["weights"][:].argmax(axis=1), [0, 0, 1, 1, 1])
    assert select(store)["target"].tolist() == ["cat", "cat", "dog", "dog", "dog"]


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ({"method": replace(many.METHOD, window=3)}, "method's window is '4' .*'3'"),
        ({"method": replace(many.METHOD, baseline=eyeline.Mean())}, "method's baseline"),
        ({"target": 1}, r"its target is 'Top\(rank=1\)' and this run's is 'Class\(which=1\)'"),
        ({"chunk": 3}, "its chunk is '4'"),
        ({"classes": ("a", "b", "c")}, "its classes"),
    ],
)
def test_a_store_goes_on_as_it_was_begun(whole, words, match):
    with pytest.raises(InputError, match=match):
        many.run(whole.path, many.images(14), **words)


def test_other_weights_are_noticed(tmp_path):
    from torch import nn

    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).eval().requires_grad_(False)
    path = tmp_path / "maps.zarr"
    many.run(path, many.images(3), model=network)
    many.run(path, many.images(3), model=network)
    network[1].weight += 1
    with pytest.raises(InputError, match="its weights"):
        many.run(path, many.images(3), model=network)


def test_two_writers_at_once(whole, tmp_path):
    from eyeline.dataset.places import locked

    path = tmp_path / "maps.zarr"
    with locked(path), pytest.raises(InputError, match="one run at a time must write"):
        many.run(path, many.images(3))


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match=r"must be a new folder .* holds 'thesis.txt'"):
        many.run(tmp_path, many.images(3))
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    from eyeline.dataset import places

    def refused(*arguments):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(places.os, "open", refused)  # an administrator, as which tests may run, can write anywhere
    with pytest.raises(InputError, match=r"must be writable and have room, .*Permission denied"):
        many.run(tmp_path / "maps.zarr", many.images(3))


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "maps.zarr").write_text("")
    with pytest.raises(InputError, match="must be writable"):
        many.run(tmp_path / "maps.zarr", many.images(3))


@pytest.mark.parametrize("method", ["gradient", "smoothgrad", "integratedgradients"])
def test_gradient_methods_do_not_depend_on_neighbours_or_ends(tmp_path, method):
    from torch import nn

    torch_network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)).eval()
    settings = eyeline.methods.build(method, {})
    given = many.images(7)
    first = many.run(tmp_path / "a.zarr", given, model=torch_network, method=settings)
    given[[0, 1, 3]] = many.images(3, seed=9)
    other = many.run(tmp_path / "b.zarr", given, model=torch_network, method=settings)
    np.testing.assert_array_equal(first["maps"][:][[2, 4, 5, 6]], other["maps"][:][[2, 4, 5, 6]])


def test_the_engine_is_taken_for_a_long_run(tmp_path, monkeypatch):
    from torch import nn

    from eyeline.dataset import begin

    monkeypatch.setattr(begin, "LONG", 0.0)
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(128, 3)
    )
    store = many.run(tmp_path / "maps.zarr", many.images(6), model=network.eval())
    full = eyeline.Occlusion(window=4, stride=2, baseline=eyeline.Constant(0), engine="full")
    plain = full(eyeline.load(network, input_size=many.SIDE), many.images(6))
    assert store.manifest.engine in ("full", "folded", "incremental", "openvino")
    np.testing.assert_allclose(store["maps"][:], plain.maps, rtol=0, atol=1e-5)


def test_windows_are_kept_when_asked(tmp_path):
    store = many.run(tmp_path / "maps.zarr", many.images(3), sweep=True)
    found = many.METHOD(eyeline.load(many.scores, input_size=many.SIDE), many.images(3))
    np.testing.assert_allclose(store["windows"][:], found.sweep.scores, atol=1e-6)
    np.testing.assert_array_equal(np.array(store.manifest.windows), found.sweep.boxes)


@pytest.mark.parametrize("damage", [b"", b"{", b'{"items": 3, "origin": ""}'])
def test_a_damaged_store_is_a_sentence(tmp_path, damage):
    path = many.run(tmp_path / "maps.zarr", many.images(3)).path
    (path / "items.json").write_bytes(damage)
    with pytest.raises(InputError, match="the store must be whole"):
        open_store(path)


def test_no_store(tmp_path):
    with pytest.raises(InputError, match="folder that eyeline run made"):
        open_store(Path(tmp_path))


def test_no_image_that_can_be_read(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"")
    with pytest.raises(InputError, match="at least one image must be readable"):
        many.run(tmp_path / "maps.zarr", tmp_path / "photos")


def test_a_model_that_gives_no_numbers(tmp_path):
    with pytest.raises((InputError, ModelError), match="finite"):
        many.run(tmp_path / "maps.zarr", many.images(3), model=lambda images: np.full((len(images), 2), np.nan))


def test_an_image_of_another_shape_is_refused_and_the_others_are_done(tmp_path):
    """Two in a chunk and one alone in its own; a model without a size takes any."""
    (tmp_path / "photos").mkdir()
    for number, side in enumerate((8, 8, 6, 8, 7)):
        Image.new("L", (side, side), 40 * number).save(tmp_path / "photos" / f"{number}.png")
    model = eyeline.load(lambda images: images.mean(axis=(1, 2))[:, [0, 0]])
    store, found = told(tmp_path / "maps.zarr", tmp_path / "photos", model=model, input_size=None, chunk=2)
    assert store.status.tolist() == [DONE, DONE, REFUSED, DONE, REFUSED]
    assert sorted(found.refused) == ["2.png", "4.png"]
    assert "must share one shape, (8, 8, 3), but '" in found.refused["2.png"]
