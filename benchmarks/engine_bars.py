"""What the engine has to reach, and whether a record of its benchmark does."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Parts = dict[str, Any]
Ratio = dict[str, float]

BARS = {
    "small": {"loop": 16, "captum": 13, "dense": 5, "openvino": 3.8},
    "VGG16": {"loop": 24, "captum": 24, "dense": 19, "openvino": 16},
    "ResNet18": {"loop": 8.5, "captum": 6.8, "dense": 4.7, "openvino": 4.3},
    "ResNet50": {"loop": 4.8, "captum": 4.6, "dense": 3.8, "openvino": 2.9},
    "MobileNetV2": {"loop": 6.2, "captum": 7.3, "dense": 4.3, "openvino": 2.1},
    "DenseNet121": {"loop": 3.5, "captum": 2.6, "dense": 2.2, "openvino": 1.7},
}
"""How many times faster than each peer."""

TORCH, THREADS = 0.3, 0.85
"""Share of those that torch operations must reach; share that must be reached where all have more threads."""

SLOWER = 1.05
"""How many times as long as the full path, and as the fastest peer, `auto` may take."""

START, IMPORTS = 3.0, 1.0
"""Seconds beyond two dense passes; seconds beyond torch."""

TIMES, SHARE, MEMORY = 5.0, 1e-3, 1024
"""Times float32's own error; share of the map's range; MiB of the default budget."""

PEERS = {
    "loop": "the loop, batch 1",
    "captum": "Captum, best setting",
    "captum default": "Captum, default",
    "dense": "torch, dense",
    "openvino": "OpenVINO, dense",
}


@dataclass(frozen=True)
class Bar:
    """One bar and what was measured.

    Args:
        network: or "imports".
        what: must hold.
        measured, asked: in words.
        reached: the measured as a share of the asked, or the other way about where less is better: 1 is just enough.
    """

    network: str
    what: str
    measured: str
    asked: str
    reached: float

    @property
    def met(self) -> bool:
        return self.reached >= 1

    def __str__(self) -> str:
        return f"{self.network}: {self.measured} {self.what}, the bar is {self.asked}"


def found(parts: Parts, part: str) -> dict[str, Any]:
    return dict(parts.get(part, {}).get("found", {}))


def spread(ratio: Ratio, digits: int = 1) -> str:
    return f"{ratio['median']:.{digits}f} ({ratio['low']:.{digits}f} to {ratio['high']:.{digits}f})"


def bars(parts: Parts) -> list[Bar]:
    """Every bar that the record can judge."""
    single = found(parts, "peers")
    made = [bar for name, each in single.items() for bar in (*speed(name, each), *plain(name, each), *auto(name, each))]
    made += [bar for name, each in found(parts, "exact").items() for bar in exact(name, each)]
    made += [bar for name, each in found(parts, "start").items() for bar in start(name, each)]
    made += [bar for name, each in found(parts, "threads").items() for bar in threads(name, each)]
    return [*made, *(bar for item, each in found(parts, "memory").items() for bar in memory(item, each))]


def missed(parts: Parts) -> list[str]:
    """Name the bars that were missed."""
    return [str(bar) for bar in bars(parts) if not bar.met]


def speed(name: str, each: dict[str, Any]) -> Iterator[Bar]:
    for key, asked in BARS.get(name, {}).items():
        ratio = each["faster"][key]
        what = f"times faster than {PEERS[key]}"
        yield Bar(name, what, spread(ratio), f"{asked:g}", ratio["median"] / asked)


def plain(name: str, each: dict[str, Any]) -> Iterator[Bar]:
    """With torch operations in place of the kernels: the peer over whom least of the bar is reached."""
    if name not in BARS or "torch operations" not in each["seconds"]:
        return
    ours = each["seconds"]["torch operations"]["median"]
    reached = {key: each["seconds"][key]["median"] / ours / (TORCH * asked) for key, asked in BARS[name].items()}
    key = min(reached, key=reached.__getitem__)
    asked = TORCH * BARS[name][key]
    what = f"times faster than {PEERS[key]} with torch operations"
    yield Bar(name, what, f"{reached[key] * asked:.2f}", f"{asked:.2f}", reached[key])


def auto(name: str, each: dict[str, Any]) -> Iterator[Bar]:
    """Slower only where all of the spread is."""
    if "auto_faster" not in each:
        return
    peer, ratio = fastest(each)
    for other, slower in (("the full path", each["auto_faster"]["full"]), (PEERS[peer], ratio)):
        what = f"times faster than {other} by `auto`, the quartiles considered"
        yield Bar(name, what, spread(slower, 2), f"{1 / SLOWER:.2f}", slower["high"] * SLOWER)


def fastest(each: dict[str, Any]) -> tuple[str, Ratio]:
    """The fastest peer, and its time divided by that of `auto`: below 1, eyeline is slower."""
    peer = min(("captum", "dense", "openvino"), key=lambda key: each["seconds"][key]["median"])
    return peer, each["auto_faster"][peer]


def exact(name: str, each: dict[str, Any]) -> Iterator[Bar]:
    if each["exact"] == "range too small":
        return
    times, share = each["times_float32"], each["share_of_range"]
    yield Bar(name, "times float32's own error, at most", f"{times:.2f}", f"{TIMES:g}", TIMES / times)
    yield Bar(name, "of the map's range is the largest error, at most", f"{share:.0e}", f"{SHARE:.0e}", SHARE / share)


def began(each: dict[str, float]) -> float:
    return each["capture"] + each["prepare"] + each["clean"]


def start(name: str, each: dict[str, Any]) -> Iterator[Bar]:
    if name == "imports":
        extra = each["extra"]
        yield Bar(name, "seconds beyond torch's, at most", f"{extra:.2f}", f"{IMPORTS:g}", IMPORTS / max(extra, 0.01))
        return
    asked = 2 * each["dense"] + START
    what = "seconds to read, prepare and run the image itself, at most"
    yield Bar(name, what, f"{began(each):.2f}", f"{asked:.2f}", asked / began(each))


def threads(name: str, each: dict[str, Any]) -> Iterator[Bar]:
    """With every core for everyone."""
    for key, asked in shared(name).items():
        ratio = each["faster"][key]
        what = f"times faster than {PEERS[key]} on every core"
        yield Bar(name, what, spread(ratio), f"{asked:.2f}", ratio["median"] / asked)


def shared(name: str) -> dict[str, float]:
    """How many times faster than each peer with more threads; the loop is not run with them."""
    return {key: THREADS * asked for key, asked in BARS.get(name, {}).items() if key != "loop"}


def advantage_kept(single: dict[str, Any], each: dict[str, Any]) -> dict[str, float]:
    """Share of the one-thread ratios that more threads leave."""
    before = single.get("faster", {})
    return {
        key: each["faster"][key]["median"] / before[key]["median"]
        for key in ("captum", "dense", "openvino")
        if key in before
    }


def memory(item: str, each: dict[str, Any]) -> Iterator[Bar]:
    name, contender = item.split(", ")
    if contender in ("incremental", "full"):
        what = f"MiB that the process grows by, {contender} path, at most"
        yield Bar(name, what, f"{each['grown']:.0f}", str(MEMORY), MEMORY / max(each["grown"], 1.0))
