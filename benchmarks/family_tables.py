"""Tables of the benchmarks in which methods race side by side: gradients, layers, RISE, Keras."""

from typing import Any

Record = dict[str, Any]


def spread(ratio: dict[str, float], digits: int = 2) -> str:
    return f"{ratio['median']:.{digits}f} ({ratio['low']:.{digits}f} to {ratio['high']:.{digits}f})"


def rows(*cells: tuple[str, ...]) -> list[str]:
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    return [lines[0], "|" + " --- |" * len(cells[0]), *lines[1:], ""]


def head(record: Record) -> list[str]:
    """Where and how it was measured."""
    machine = record["machine"]
    said = ", ".join(f"{name} {version}" for name, version in sorted(record["versions"].items()) if name != "eyeline")
    threads = f"{record['threads']} thread{'s' if record['threads'] > 1 else ''}"
    return [
        f"{machine['processor']}, {machine['cores']} cores, {threads}, {record['date']}; {said}. Medians, with",
        f"quartiles of the rounds. `{record['command']}`",
        "",
    ]


def family(record: Record) -> str:
    """Gradient methods against Captum, and what they grow by."""
    parts, body = record["parts"], []
    for name, methods in parts["family"].items():
        for method, each in methods.items():
            if method == "correlation":
                continue
            faster, clock = each["times_faster"], each["times_faster_by_the_clock"]
            seconds = f"{each['processor_seconds']['eyeline']['median']:.2f}"
            best = f"{spread(faster['captum'])}, {each['captum_batch']} a pass"
            body.append((name, method, seconds, best, spread(clock["captum"]), spread(faster["no twin"])))
    titles = ("network", "method", "seconds of the processor", "faster than Captum, images a pass", "by the clock")
    growth = [
        (name, what, f"{each['grown']:.0f}") for name, found in parts["growth"].items() for what, each in found.items()
    ]
    return "\n".join(
        [
            *head(record),
            *rows((*titles, "than without the twin"), *body),
            *(rows(("network", "steps of integrated gradients, samples of SmoothGrad", "grew by, MiB"), *growth)),
        ]
    )


def races(record: Record) -> str:
    """Any methods against any others."""
    body = []
    for name, methods in record["races"].items():
        for method, each in methods.items():
            ours, best = each["processor_seconds"]["eyeline"]["median"], each.get("best", {})
            for who, faster in each["times_faster"].items():
                pass_ = f"{who}, {best[who]} a pass" if who in best else who
                by_clock = spread(each["times_faster_by_the_clock"][who])
                body.append((name, method, pass_, _milliseconds(ours), spread(faster), by_clock))
    titles = (
        "network",
        "method",
        "against",
        "eyeline, ms of the processor",
        "times longer than eyeline",
        "by the clock",
    )
    lines = [*head(record), *rows(titles, *body)]
    lines += [f"Behind, beyond the spread: {'; '.join(behind(record)) or 'nobody'}.", ""]
    grown = [(str(each["masks"]), str(each["mebibytes"])) for each in record.get("memory", [])]
    return "\n".join([*lines, *(rows(("masks, memory=256", "grew by, MiB"), *grown) if grown else [])])


def behind(record: Record) -> list[str]:
    """Name those whom eyeline is slower than, by the processor: within the spread, the quartiles of the rounds."""
    return [
        f"{name}, {method}: {who} takes {spread(faster)} times as long"
        for name, methods in record["races"].items()
        for method, each in methods.items()
        for who, faster in each["times_faster"].items()
        if faster["high"] < 1 and not who.startswith("bare pass")
    ]


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.1f}" if seconds < 1 else f"{1000 * seconds:.0f}"
