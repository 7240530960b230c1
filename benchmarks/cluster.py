"""What a run on Ray costs beside a run in this process: seconds until it works, and for each chunk; and the writing.

    .venv-ray/bin/python benchmarks/cluster.py --out benchmarks/cluster.json
    python benchmarks/table.py benchmarks/cluster.json --into docs/datasets.md

The model returns a mean and the method looks at the whole image, so that nearly nothing is computed: what is left is
the way of a chunk's maps, through Ray and to the disk. One process computes, on the core that this one has too.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from measure import ROOT, limit_threads, machine, report, versions

MAPS = (28, 224)
"""Pixels of a side."""

CHUNKS = (10, 110)
"""Chunks of a short run and of a long one; what a chunk costs is what the long one takes more."""

CHUNK = 20


def timed(side: int, chunks: int, ray: bool) -> tuple[float, float, float]:
    """Seconds of a run, those of its writing, and those of a processor that this process took."""
    import eyeline
    from eyeline.dataset import cluster
    from eyeline.dataset.store import Store

    write, spent = Store.write, [0.0]

    def counted(self: Store, block: Any) -> None:
        began = time.perf_counter()
        write(self, block)
        spent[0] += time.perf_counter() - began

    images = np.random.default_rng(0).random((chunks * CHUNK, side, side, 1), dtype=np.float32)
    method = eyeline.Occlusion(window=side, stride=side, baseline=eyeline.Constant(0), batch=CHUNK)
    Store.write = counted  # type: ignore[method-assign]
    told: list[Any] = []
    used = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        eyeline.run(
            lambda given: given.mean(axis=(1, 2)), images, Path(folder) / "maps.zarr", method, chunk=CHUNK, threads=1,
            input_size=(side, side), pool=cluster("local", workers=1) if ray else None, tell=told.append,
        )  # fmt: skip
    Store.write = write  # type: ignore[method-assign]
    return told[0].seconds, spent[0], time.process_time() - used


def measured(rounds: int) -> dict[str, Any]:
    """Medians over rounds."""
    found: dict[str, Any] = {"chunk": CHUNK, "rounds": rounds, "maps": {}}
    starts = []
    for side in MAPS:
        each = []
        for _ in range(rounds):
            times = {(many, ray): timed(side, many, ray) for many in CHUNKS for ray in (False, True)}
            more = np.array([np.subtract(times[CHUNKS[1], ray], times[CHUNKS[0], ray]) for ray in (False, True)])
            more /= CHUNKS[1] - CHUNKS[0]
            starts.append(times[CHUNKS[0], True][0] - times[CHUNKS[0], False][0])
            each.append((more[0, 0], more[0, 1], more[1, 0], more[1, 2]))
        here, writing, ray, own = np.median(each, axis=0).tolist()
        megabytes = CHUNK * side * side * 4 / 1e6
        found["maps"][str(side)] = {"here": here, "write": writing, "ray": ray, "own": own, "megabytes": megabytes}
        report(f"{side}: a chunk takes {here:.4f} s here, {ray:.4f} s on Ray; {writing:.4f} s writing, {own:.4f} s own")
    return found | {"start": float(np.median(starts))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "cluster.json")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    limit_threads(1)
    record = {"runs": {"cluster": {**measured(arguments.rounds), "load": machine()["load"]}}}
    record |= {"machine": machine(), "versions": versions()}
    arguments.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
