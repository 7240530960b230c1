"""The figures of runs over data sets, as markdown; see runs.py and table.py."""

from typing import Any

BARS = {"faster": 5.0, "share": 0.05}


def blocks(record: dict[str, Any]) -> dict[str, str]:
    """Text by the name of its marker."""
    runs, machine = record["runs"], record["machine"]
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
