"""Runs on a cluster of two nodes, which this machine plays: the store of one process, whatever dies on the way."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import many
import numpy as np
import pytest
import ray
from PIL import Image
from ray.cluster_utils import Cluster

import eyeline
from eyeline.dataset import cluster
from eyeline.dataset.store import DONE, REFUSED, open_store
from eyeline.errors import InputError, UnsupportedError

pytestmark = pytest.mark.filterwarnings("ignore")  # of Ray, about its own next versions

SEEDS = int(os.environ.get("EYELINE_SEEDS", "1"))
"""Runs in which processes are killed at random times, five each; more by hand."""

SMALL = 80 * 2**20
"""Bytes of each node's object store."""


@pytest.fixture(scope="module")
def nodes():
    made = Cluster()
    for _ in range(2):
        made.add_node(num_cpus=1, object_store_memory=SMALL, include_dashboard=False)
    ray.init(address=made.address, log_to_driver=False, logging_level="CRITICAL")
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture(scope="module")
def images():
    return many.images(120)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, images):
    """An unbroken run of one process."""
    folder = tmp_path_factory.mktemp("whole")
    np.save(folder / "images.npy", images)
    return many.run(folder / "maps.zarr", folder / "images.npy", model="many:slow", threads=1)


def run(path, given, **words):
    """The same run on the cluster."""
    return many.run(path, given, **{"model": "many:slow", "pool": cluster()} | words)


def test_the_store_of_one_process_comes_out(nodes, whole, tmp_path):
    store = run(tmp_path / "maps.zarr", whole.origin)
    assert (store.status == DONE).all()
    assert store.content() == whole.content()


def test_models_and_arrays_in_memory_go_along(nodes, tmp_path, images):
    weights = np.float32(1.5) * many.WEIGHTS  # known here and nowhere else

    def model(given):
        return np.tanh(given.reshape(len(given), -1) @ weights)

    expected = many.run(tmp_path / "one.zarr", images[:10], model=model, threads=1)
    assert run(tmp_path / "maps.zarr", images[:10], model=model).content() == expected.content()


def test_files_are_found_from_other_folders_and_refused_ones_stop_nothing(nodes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    chance = np.random.default_rng(0)
    for name in ("cat/a", "cat/b", "dog/c", "dog/d", "dog/e"):
        path = tmp_path / "photos" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(chance.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(path)
    (tmp_path / "photos" / "cat" / "b.png").write_bytes(b"no picture")
    words = {"preprocess": eyeline.Preprocess(), "classes": ("cat", "dog", "bird"), "target": "label"}
    words |= {"input_size": (many.SIDE, many.SIDE), "model": "many:grey"}
    expected = many.run(tmp_path / "one.zarr", "photos", threads=1, **words)
    store = run(tmp_path / "maps.zarr", "photos", **words)
    assert store.status.tolist() == [DONE, REFUSED, DONE, DONE, DONE]
    assert store.content() == expected.content()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_processes_killed_at_random_times_lose_nothing(nodes, whole, tmp_path, seed):
    chance, killed, ended = random.Random(seed), [], threading.Event()

    def kill():
        while len(killed) < 5 and not ended.wait(chance.uniform(0.1, 0.6)):
            found = processes(b"ray::MapWorker")
            if found:
                os.kill(chance.choice(found), signal.SIGKILL)
                killed.append(time.monotonic())

    killer = threading.Thread(target=kill)
    killer.start()
    store = run(tmp_path / "maps.zarr", whole.origin)
    ended.set()
    killer.join()
    assert killed
    assert store.content() == whole.content()


def test_a_node_that_goes_away_loses_nothing(nodes, whole, tmp_path):
    third = nodes.add_node(num_cpus=1, object_store_memory=SMALL, include_dashboard=False)
    nodes.wait_for_nodes()
    path = tmp_path / "maps.zarr"

    def take_away():
        while count(path) < 16:
            time.sleep(0.05)
        nodes.remove_node(third, allow_graceful=False)

    remover = threading.Thread(target=take_away)
    remover.start()
    store = run(path, whole.origin)
    remover.join()
    assert store.content() == whole.content()


def test_an_image_that_ends_its_process_every_time_is_refused(nodes, tmp_path, images):
    given = images[:6].copy()
    given[3] = 0
    store = run(tmp_path / "maps.zarr", given, model="many:deadly_elsewhere", chunk=2)
    assert store.status.tolist() == [DONE] * 2 + [REFUSED] * 2 + [DONE] * 2
    assert "must not end the process" in store.sentences()[3]


def test_a_node_of_another_kind_is_refused(nodes, tmp_path, images):
    with pytest.raises(InputError, match=r"same numbers, bit for bit, but other ones come out for 'image 0' \(node"):
        run(tmp_path / "maps.zarr", images[:6], model="many:elsewhere")


def test_a_model_that_does_not_pickle_is_a_sentence(nodes, tmp_path, images):
    lock = threading.Lock()

    def model(given):
        with lock:
            return many.scores(given)

    with pytest.raises(InputError, match=r"must pickle to be opened in other processes.*lock.*Pass the path"):
        run(tmp_path / "maps.zarr", images[:6], model=model)


def test_what_a_method_cannot_do_is_said_as_it_is_here(nodes, tmp_path, images):
    with pytest.raises(UnsupportedError, match="gradient"):
        run(tmp_path / "maps.zarr", images[:6], method=eyeline.Gradient())


def test_a_process_that_fits_on_no_node_is_a_sentence(nodes, tmp_path, images):
    with pytest.raises(InputError, match="reserves 64 cores and the largest node has 1"):
        run(tmp_path / "maps.zarr", images[:6], pool=cluster(cores=64))


def command(address, given, path):
    """The command, in a process and a group of its own."""
    words = ["run", "many:slow", str(given), "--store", str(path), "--ray", address, "--input-size", "8"]
    words += ["--window", "4", "--stride", "2", "--baseline", "constant:0", "--batch", "16", "--chunk", "4"]
    # A shell that starts the tests in the background has them ignore SIGINT, and they would hand that on.
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from eyeline.cli import main; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", code, *words], text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_a_killed_program_goes_on_where_it_was(nodes, whole, tmp_path):
    path, chance, wanted = tmp_path / "maps.zarr", random.Random(0), 0
    for _ in range(2):
        begun = command(nodes.address, whole.origin, path)
        wanted = count(path) + chance.randint(1, 20)
        while begun.poll() is None and count(path) < wanted:
            time.sleep(0.02)
        begun.kill()
        begun.communicate()
    done = command(nodes.address, whole.origin, path)
    said, complained = done.communicate(timeout=120)
    assert done.returncode == 0, complained
    assert "images explained" in said
    assert "ray" not in (said + complained).replace(str(path), "").lower()
    store = open_store(path)
    for name in (*whole.names, "digests", "status"):
        np.testing.assert_array_equal(store[name][:], whole[name][:])


def test_interrupting_a_local_run_ends_it_and_what_it_started(tmp_path):
    path, before = tmp_path / "maps.zarr", set(processes(b"raylet"))
    np.save(tmp_path / "images.npy", many.images(2000))  # so many that no machine ends before it is told to
    begun = command("local", tmp_path / "images.npy", path)
    while begun.poll() is None and count(path) < 4:
        time.sleep(0.02)
    os.killpg(begun.pid, signal.SIGINT)
    _, complained = begun.communicate(timeout=60)
    assert begun.returncode != 0
    assert "Traceback" not in complained
    until = time.monotonic() + 30
    while not set(processes(b"raylet")) <= before and time.monotonic() < until:
        time.sleep(0.1)
    assert set(processes(b"raylet")) <= before
    assert 0 < count(path) < 2000


def count(path):
    try:
        return int((open_store(path).status == DONE).sum())
    except InputError:
        return 0


def processes(name):
    """Processes of this machine whose command has a word in it."""
    found = []
    for each in Path("/proc").iterdir():
        try:
            if each.name.isdigit() and name in (each / "cmdline").read_bytes():
                found.append(int(each.name))
        except OSError:
            continue
    return found
