"""Runs over data sets: how fast beside a loop over Captum, how much memory, what the store costs, what kills cost.

    .venv-peers/bin/python benchmarks/runs.py --out benchmarks/runs.json
    python benchmarks/table.py benchmarks/runs.json --into docs/datasets.md

Images are those of Fashion-MNIST (Debian's dataset-fashion-mnist), as they are: 28 x 28, one channel, 0..1. The network
is small and convolutional, with random weights, which cost what trained ones do.
"""

import argparse
import gzip
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from measure import ROOT, Peak, limit_threads, machine, private, ratio, report, summary, take_turns, versions

FOLDER = Path("/usr/share/datasets/fashion-mnist")
WINDOW, STRIDE = 7, 2
PERTURBATIONS = (1, 8, 32, 128)
"""Of Captum: images a forward pass, of which the best is taken."""


def pictures(count: int) -> np.ndarray:
    """The first images of the training set, (count, 28, 28, 1), float32."""
    with gzip.open(FOLDER / "train-images-idx3-ubyte.gz") as file:
        raw = file.read(16 + count * 784)[16:]
    return (np.frombuffer(raw, dtype=np.uint8).reshape(-1, 28, 28, 1) / np.float32(255)).astype(np.float32)


def network() -> Any:
    """Two convolutions and two linear layers."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 49, 128), nn.ReLU(), nn.Linear(128, 10),
    ).eval().requires_grad_(False)  # fmt: skip


def begin(images: Path | np.ndarray, store: Path, engine: str = "auto", tell: Any = lambda told: None) -> Any:
    """The run that is measured: occlusion with black windows, one thread."""
    import eyeline

    method = eyeline.Occlusion(window=WINDOW, stride=STRIDE, baseline=eyeline.Constant(0), engine=engine)
    return eyeline.run(network(), images, store, method, input_size=(28, 28), tell=tell)


def speed(count: int, seconds: float) -> dict[str, Any]:
    """Images a second of a whole run, store included, against a loop over Captum's map of each image."""
    import torch
    from captum.attr import Occlusion

    images, module = pictures(count), network()
    planes = torch.from_numpy(np.moveaxis(images, -1, 1).copy())
    explainer = Occlusion(module)

    def captum(rows: slice, many: int) -> None:
        for image in planes[rows]:
            target = int(module(image[None]).argmax())
            explainer.attribute(
                image[None], target=target, perturbations_per_eval=many, baselines=0,
                sliding_window_shapes=(1, WINDOW, WINDOW), strides=(1, STRIDE, STRIDE),
            )  # fmt: skip

    tried = {}
    for many in PERTURBATIONS:
        began = time.perf_counter()
        captum(slice(0, 4), many)
        tried[many] = (time.perf_counter() - began) / 4
    best, few = min(tried, key=tried.__getitem__), max(4, count // 20)
    with tempfile.TemporaryDirectory() as folder:
        told: list[Any] = []

        def ours() -> None:
            begin(images, Path(folder) / f"{len(told)}.zarr", tell=told.append)

        ours()
        times = take_turns({"eyeline": ours, "captum": lambda: captum(slice(0, few), best)}, seconds, least=3, most=5)
        store = begin(images, Path(folder) / "0.zarr")
    each = {"eyeline": [t / count for t in times["eyeline"]], "captum": [t / few for t in times["captum"]]}
    found = {
        "images": count, "captum_images": few, "windows": len(store.manifest.windows), "best": best,
        "engine": store.manifest.engine, "chunk": store.manifest.chunk,
        "images_a_second": {key: summary([1 / t for t in value]) for key, value in each.items()},
        "faster": ratio(each["captum"], each["eyeline"]),
    }  # fmt: skip
    report(f"speed: {found['faster']['median']:.1f} times Captum")
    return found


def cost(count: int) -> dict[str, Any]:
    """The share of a run's time that writing takes."""
    from eyeline.dataset.store import Store

    write, spent = Store.write, [0.0]

    def timed(self: Store, block: Any) -> None:
        began = time.perf_counter()
        write(self, block)
        spent[0] += time.perf_counter() - began

    Store.write = timed  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        told: list[Any] = []
        store = begin(pictures(count), Path(folder) / "maps.zarr", tell=told.append)
        size = sum(each.stat().st_size for each in store.path.rglob("*") if each.is_file())
    Store.write = write  # type: ignore[method-assign]
    found = {"images": count, "share": spent[0] / told[0].seconds, "bytes_an_image": size / count}
    report(f"store: {found['share']:.1%} of the run")
    return found


def memory(counts: list[int]) -> dict[str, Any]:
    """The most that the process held beside files, by the number of images, each in a process of its own.

    The images are in a file of numbers, which is mapped: how much of it lies in memory is the system's to say.
    """
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in counts:
            path = Path(folder) / f"{count}.npy"
            np.save(path, pictures(count))
            words = [sys.executable, __file__, "--inside", str(path), str(Path(folder) / f"{count}.zarr")]
            done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
            found[str(count)] = json.loads(done.stdout.splitlines()[-1])
            report(f"memory, {count} images: {found[str(count)]['peak']:.0f} MiB")
    return found


def kills(count: int, images: int) -> dict[str, Any]:
    """SIGKILL at random times until the run has ended; the store against that of an unbroken run, by content."""
    chance, done, starts = random.Random(0), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        given, path, whole = (Path(folder) / name for name in ("images.npy", "maps.zarr", "whole.zarr"))
        np.save(given, pictures(images))
        begun = _inside(given, path)
        while not (path / "items.json").exists():  # what is measured at the first start holds for both
            time.sleep(0.01)
        begun.kill()
        begun.wait()
        shutil.copytree(path, whole)
        assert _inside(given, whole).wait() == 0
        while done < count:
            process = _inside(given, path)
            starts += 1
            time.sleep(chance.uniform(1.0, 4.0))
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                done += 1
            process.wait()
            if process.returncode == 0:
                equal = _content(path) == _content(whole)
                assert equal, "the store differs"
                shutil.rmtree(path)
                shutil.copytree(whole, path)
                _empty(path)
        assert _inside(given, path).wait() == 0
        equal = _content(path) == _content(whole)
    report(f"kills: {done} of {starts} starts, equal: {equal}")
    return {"kills": done, "starts": starts, "images": images, "equal": equal}


def _empty(path: Path) -> None:
    """Let a store begin anew, with the same manifest."""
    for name in ("maps", "scores", "weights", "digests", "stamps", "said", "status"):
        shutil.rmtree(path / name / "c", ignore_errors=True)


def _content(path: Path) -> str:
    from eyeline.dataset import open_store

    return open_store(path).content()


def _inside(images: Path, store: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, __file__, "--inside", str(images), str(store)], stdout=subprocess.DEVNULL)


def _run_inside(images: str, store: str) -> None:
    limit_threads(1)
    import torch

    torch.set_num_threads(1)
    told: list[Any] = []
    with Peak(private) as peak:
        begin(Path(images), Path(store), "incremental", tell=told.append)
    print(json.dumps({"before": peak.before, "peak": peak.highest, "seconds": told[0].seconds}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "runs.json")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--parts", nargs="*", default=["speed", "cost", "memory", "kills"])
    parser.add_argument("--inside", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        _run_inside(*arguments.inside)
        return
    limit_threads(1)
    import torch

    torch.set_num_threads(1)
    parts = {
        "speed": lambda: speed(arguments.images, arguments.seconds),
        "cost": lambda: cost(arguments.images),
        "memory": lambda: memory([200, 2000, 20000] if arguments.images >= 2000 else [50, arguments.images]),
        "kills": lambda: kills(arguments.kills, min(arguments.images, 1000)),
    }
    record = json.loads(arguments.out.read_text()) if arguments.out.exists() else {"runs": {}}
    for part in arguments.parts:
        record["runs"][part] = {**parts[part](), "load": machine()["load"], "date": time.strftime("%Y-%m-%d")}
        record |= {"machine": machine(), "versions": versions()}
        arguments.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
