"""The figures of the choice of a path, as markdown; see choice.py and table.py."""

from typing import Any

from engine_bars import SLOWER


def choice(record: dict[str, Any]) -> dict[str, str]:
    """What `auto` took beside the full path, see choice.py."""
    machine = record["machine"]
    lines = [
        f"{machine['processor']}, {record['threads']} thread, load {machine['load']:.1f}, medians of "
        f"{record['rounds']} runs, each in a process of its own; `python benchmarks/choice.py`",
        "",
        "| network | windows | seconds by `auto` | by the full path | ratio | what ran |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, each in record["choice"].items():
        ours, full = (each["seconds"][key]["processor"] for key in ("auto", "full"))
        ratio, ran = each["auto_against_full"]["processor"], each["auto"]["engine"]
        lines.append(
            f"| {name.partition(',')[0]} | {each['windows']} | {ours:.2f} | {full:.2f} | {ratio:.2f} | {ran} |"
        )
    return {"choice": "\n".join([*lines, ""])}


def slower(record: dict[str, Any]) -> list[str]:
    """Name the sweeps that `auto` made longer than is allowed."""
    ratios = {name: each["auto_against_full"]["processor"] for name, each in record["choice"].items()}
    return [f"{name}: {ratio:.2f}, {SLOWER:g} allowed" for name, ratio in ratios.items() if ratio > SLOWER]
