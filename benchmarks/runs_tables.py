"""The figures of runs over data sets, as markdown; see runs.py and table.py."""

from typing import Any

BARS = {"faster": 5.0, "share": 0.05}


def blocks(record: dict[str, Any]) -> dict[str, str]:
    """Text by the name of its marker."""
    runs, machine = record["runs"], record["machine"]
    if "cluster" in runs:
        return {"cluster": cluster(runs["cluster"], machine)}
    rows = [("what", "figure", "bar", "load")]
    if "speed" in runs:
        speed = runs["speed"]
        rate = speed["images_a_second"]["eyeline"]["median"]
        faster = speed["faster"]
        rows.append(
            (
                f"{speed['images']} images, {speed['windows']} windows each, images a second",
                f"{rate:.0f} ({speed['engine']}, chunks of {speed['chunk']})",
                "",
                f"{speed['load']:.1f}",
            )
        )
        rows.append(
            (
                f"times a loop over Captum, {speed['best']} a forward",
                f"{faster['median']:.1f} ({faster['low']:.1f} to {faster['high']:.1f})",
                f"{BARS['faster']:.0f}",
                f"{speed['load']:.1f}",
            )
        )
    if "cost" in runs:
        cost = runs["cost"]
        rows.append(("writing, share of the run", f"{cost['share']:.1%}", "5%", f"{cost['load']:.1f}"))
        rows.append(("bytes an image in the store", f"{cost['bytes_an_image']:.0f}", "", f"{cost['load']:.1f}"))
    if "memory" in runs:
        held = {key: value for key, value in runs["memory"].items() if isinstance(value, dict)}
        said = ", ".join(f"{each['peak']:.0f} for {int(count):,}" for count, each in held.items())
        rows.append(("most MiB that the process held, by images", said, "flat", f"{runs['memory']['load']:.1f}"))
    if "kills" in runs:
        kills = runs["kills"]
        said = "as of an unbroken run, bit for bit" if kills["equal"] else "DIFFERS"
        rows.append((f"the store after {kills['kills']} kills at random times", said, "equal", f"{kills['load']:.1f}"))
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    head = f"{machine['processor']}, {machine['cores']} cores, 1 thread; `python benchmarks/runs.py`"
    return {"runs": "\n".join([head, "", lines[0], "|" + " --- |" * 4, *lines[1:], ""])}


def cluster(found: dict[str, Any], machine: dict[str, Any]) -> str:
    """What a chunk costs on Ray beside the same one here."""
    head = f"{machine['processor']}, one core for everything, load {found['load']:.1f}; `python benchmarks/cluster.py`"
    lines = [
        head,
        "",
        "| a chunk's maps | here, ms | of it writing | on Ray, ms | of it the program that writes |",
        "|" + " --- |" * 5,
    ]
    for side, each in found["maps"].items():
        figures = [f"{1000 * each[key]:.1f}" for key in ("here", "write", "ray", "own")]
        lines += [f"| {found['chunk']} of {side} x {side}, {each['megabytes']:.2g} MB | " + " | ".join(figures) + " |"]
    return "\n".join([*lines, f"| until the first chunk is begun | | | {found['start']:.1f} s | |", ""])


def missed(record: dict[str, Any]) -> list[str]:
    """Name the bars that are missed."""
    runs, lost = record["runs"], []
    if "speed" in runs and runs["speed"]["faster"]["median"] < BARS["faster"]:
        lost.append(f"{runs['speed']['faster']['median']:.1f} times Captum, {BARS['faster']:.0f} wanted")
    if "cost" in runs and runs["cost"]["share"] > BARS["share"]:
        lost.append(f"writing takes {runs['cost']['share']:.1%}, {BARS['share']:.0%} allowed")
    if "kills" in runs and not runs["kills"]["equal"]:
        lost.append("a killed run's store differs")
    return lost


def planted(record: dict[str, Any]) -> dict[str, str]:
    """Which planted marks an audit found, seed by seed; see planted.py."""
    found, machine = record["planted"], record["machine"]
    rows = [
        ("mark", "accuracy", "marked images", "found, of seeds", "precision", "recall", "alarms on the twin, of seeds")
    ]
    for name, seeds in found.items():
        if name.endswith(", clean"):
            continue
        twins = found.get(f"{name}, clean", {})
        firsts = [each["alarms"][0] for each in seeds.values() if each["alarms"]]
        alarms = sum(bool(each["alarms"]) for each in twins.values())
        rows.append(
            (
                name,
                _range([each["accuracy"] for each in seeds.values()], "{:.0%}"),
                _range([each["marked"] for each in seeds.values()], "{:.0f}"),
                f"{sum(each['found'] for each in seeds.values())} of {len(seeds)}",
                _range([each["precision"] for each in firsts], "{:.2f}"),
                _range([each["recall"] for each in firsts], "{:.2f}"),
                f"{alarms} of {len(twins)}",
            )
        )
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    head = f"{machine['processor']}, 1 thread, {record['date']}; `python benchmarks/planted.py`"
    return {"planted": "\n".join([head, "", lines[0], "|" + " --- |" * 7, *lines[1:], ""])}


def unfound(record: dict[str, Any]) -> list[str]:
    """Name the seeds in which fewer than five of six marks were found, or more than one twin raised an alarm."""
    found, lost = record["planted"], []
    for seed in sorted({seed for seeds in found.values() for seed in seeds}, key=int):
        marks = [seeds[seed]["found"] for name, seeds in found.items() if "clean" not in name and seed in seeds]
        twins = [bool(seeds[seed]["alarms"]) for name, seeds in found.items() if "clean" in name and seed in seeds]
        if sum(marks) < len(marks) - 1 or sum(twins) > 1:
            lost.append(f"seed {seed}: {sum(marks)} of {len(marks)} marks found, alarms on {sum(twins)} twins")
    return lost


def _range(values: list[float], form: str) -> str:
    if not values:
        return ""
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{low} to {high}"
