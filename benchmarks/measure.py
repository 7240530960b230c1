"""Timing side by side: contenders take turns in one process, so that what else the machine does hits all alike."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from datetime import date
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "eyeline", "numpy", "torch", "captum", "openvino", "keras", "tensorflow", "xplique", "tf-explain", "jax",
    "onnxruntime", "grad-cam", "tf-keras-vis",
)  # fmt: skip


def ask(environment: str, script: str, *words: str, **variables: str) -> dict[str, Any] | None:
    """Run a script of this folder in a process and an environment of its own: the JSON of the last line it prints.

    None where the environment is not there.
    """
    python = ROOT / environment / "bin" / "python"
    if not python.exists():
        report(f"{words[0]}: left out, {environment} is not there")
        return None
    command = [str(python), str(ROOT / "benchmarks" / script), *words]
    done = subprocess.run(command, env={**os.environ, **variables}, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def take_turns(contenders: dict[str, Callable[[], object]], budget: float, least: int = 3, most: int = 15):
    """Seconds of every run; as many rounds as the budget of seconds allows, the first contender changing."""
    names = list(contenders)
    times: dict[str, list[float]] = {name: [] for name in names}
    began, rounds = time.perf_counter(), 0
    while rounds < least or (rounds < most and (time.perf_counter() - began) * (1 + 1 / rounds) < budget):
        for name in names[rounds % len(names) :] + names[: rounds % len(names)]:
            times[name].append(seconds(contenders[name]))
        rounds += 1
    return times


def quickest(settings: dict[Any, Callable[[], object]]) -> tuple[Any, dict[Any, float]]:
    """The setting under which a contender is at its best, and the seconds of each that was tried."""
    tried = {setting: seconds(call) for setting, call in settings.items()}
    return min(tried, key=tried.__getitem__), tried


def processor(call: Callable[[], object]) -> float:
    """Seconds of this process on the processor, which what else the machine does hardly changes."""
    began = time.process_time()
    call()
    return time.process_time() - began


def best_size(run: Callable[[int], object], sizes: Iterable[int]) -> tuple[int, dict[int, float]]:
    """The images a pass at which a contender is at its best, and the seconds of each that was tried, twice."""
    tried = {many: min(processor(partial(run, many)) for _ in range(2)) for many in sizes}
    return min(tried, key=tried.__getitem__), tried


def beside(contenders: dict[str, Callable[[], object]], budget: float, most: int = 15) -> dict[str, Any]:
    """Turns by the wall clock and by the processor, and how many times longer each takes than eyeline by either."""
    spent: dict[str, list[float]] = {name: [] for name in contenders}

    def run(name: str) -> None:
        spent[name].append(processor(contenders[name]))

    walls = take_turns({name: partial(run, name) for name in contenders}, budget, most=most)
    others = [name for name in contenders if name != "eyeline"]
    return {
        "seconds": {name: summary(walls[name]) for name in contenders},
        "processor_seconds": {name: summary(spent[name]) for name in contenders},
        "times_faster": {name: ratio(spent[name], spent["eyeline"]) for name in others},
        "times_faster_by_the_clock": {name: ratio(walls[name], walls["eyeline"]) for name in others},
    }


def head(threads: int) -> dict[str, Any]:
    """What a record says first: where, with what, when and how it was made."""
    command = " ".join(["python", str(Path(sys.argv[0]).resolve().relative_to(ROOT)), *sys.argv[1:]])
    record = {"machine": machine(), "versions": versions(), "threads": threads}
    return {**record, "command": command, "date": date.today().isoformat()}


def races(name: str, about: str, race: Callable[[str, float], Any], budget: float, networks: list[str]) -> None:
    """Print the record of a benchmark that races methods on networks, told by its command.

    Args:
        name: of the record, and of its marker in a page.
        about: the command's description.
        race: (network, seconds of the rounds) -> what is recorded.
        budget: seconds by default.
        networks: by default.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=budget, help="of the rounds of one method on one network")
    parser.add_argument("--only", nargs="+", default=networks)
    arguments = parser.parse_args()
    limit_threads(arguments.threads)
    found = {each: race(each, arguments.seconds) for each in arguments.only}
    print(json.dumps({**head(arguments.threads), "name": name, "races": found}, indent=1))


def summary(times: list[float]) -> dict[str, float]:
    return {"median": statistics.median(times), "least": min(times), "most": max(times), "runs": len(times)}


def ratio(slower: list[float], faster: list[float]) -> dict[str, float]:
    """How many times longer the first took, round by round: the median and the quartiles."""
    rounds = [a / b for a, b in zip(slower, faster, strict=True)]
    low, middle, high = statistics.quantiles(rounds, n=4, method="inclusive")
    return {"median": middle, "low": low, "high": high}


class Peak:
    """Samples this process's memory while the block runs: mebibytes before, and the highest.

    Args:
        read: mebibytes now; None means `resident`.
    """

    def __init__(self, read: Callable[[], float] | None = None) -> None:
        self._read = read or resident

    def __enter__(self) -> "Peak":
        self.before = self.highest = self._read()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._done.wait(0.002):
            self.highest = max(self.highest, self._read())

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()
        self.highest = max(self.highest, self._read())


def resident() -> float:
    """Mebibytes of this process that lie in memory (Linux)."""
    return _held()[0]


def private() -> float:
    """Those of them that are no file's: a file that is mapped lies in memory only as long as there is room (Linux)."""
    whole, files = _held()
    return whole - files


def _held() -> tuple[float, float]:
    """Mebibytes in memory, and those of them that belong to files."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1:3]
    whole, files = (int(each) * os.sysconf("SC_PAGE_SIZE") / 2**20 for each in pages)
    return whole, files


def machine() -> dict[str, object]:
    """Which machine, and how busy it was."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "load": os.getloadavg()[0],
    }


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def limit_threads(count: int) -> None:
    """Tell every framework, before it is imported, how many threads it may use."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ[name] = str(count)
    if count == 1:
        flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    assert not {"torch", "tensorflow", "jax"} & set(sys.modules), "a framework was imported already"
