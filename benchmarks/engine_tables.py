"""What `table.py` writes of the incremental engine: tables for the page and for README, and the bars."""

from collections.abc import Callable
from typing import Any

from engine_bars import BARS, PEERS, START, Bar, advantage_kept, bars, began, fastest, found, shared, spread
from engine_bars import threads as every_core


def blocks(record: dict[str, Any]) -> dict[str, str]:
    """Text by the name of the marker that it stands under."""
    parts = record["parts"]
    made = {name: section(found(parts, name)) for name, section in SECTIONS.items()}
    made["threads"] = threads(found(parts, "peers"), found(parts, "threads"))
    lines = [heading(record), "", *judged(bars(parts)), *(line for name in made for line in made[name])]
    return {"engine": "\n".join(lines), "speed": "\n".join([*speed(found(parts, "peers")), said(record), ""])}


def heading(record: dict[str, Any]) -> str:
    versions: dict[str, str] = {}
    for part in record["parts"].values():
        versions.update(part["versions"])
    versions.pop("eyeline", None)
    packages = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    note = f" {record['note']}" if record.get("note") else ""
    return f"{said(record)} {packages}. `{record['command']}`{note}"


def machine(record: dict[str, Any]) -> str:
    each = record["machine"]
    return f"{each['processor']}, {each['cores']} cores, {record['date']}"


def said(record: dict[str, Any]) -> str:
    """Under what README's figures were measured: also how many rounds, and how busy the machine was."""
    part = record["parts"]["peers"]
    least = min(run["runs"] for each in part["found"].values() for run in each["seconds"].values())
    load = max(each["load"] for each in part["found"].values())
    threads = f"{part['threads']} thread{'s' if part['threads'] > 1 else ''}"
    return f"{machine(record)}, {threads}; medians of {least} or more runs in turns, load average up to {load:.1f}."


def rows(title: str, head: tuple[str, ...], body: list[tuple[str, ...]]) -> list[str]:
    """A table under its title; nothing where nothing was measured."""
    if not body:
        return []
    lines = ["| " + " | ".join(row) + " |" for row in (head, *body)]
    return [f"**{title}**", "", lines[0], "|" + " --- |" * len(head), *lines[1:], ""]


def judged(asked: list[Bar]) -> list[str]:
    """Every bar with what was measured, those that were missed in front."""
    lost = [bar for bar in asked if not bar.met]
    title = f"Bars: {len(asked) - len(lost)} of {len(asked)} met"
    body = [
        (
            bar.network,
            bar.what,
            bar.measured,
            bar.asked,
            f"{'by' if bar.met else 'missed by'} {abs(bar.reached - 1):.0%}",
        )
        for bar in (*lost, *(bar for bar in asked if bar.met))
    ]
    return rows(title, ("network", "what", "measured", "bar", "met"), body)


def milliseconds(each: dict[str, Any], runner: str) -> str:
    return f"{1000 * each['seconds'][runner]['median']:.2f}" if runner in each["seconds"] else ""


def speed(peers: dict[str, Any]) -> list[str]:
    """README's table: what a user's call takes."""
    picked = ("captum", "dense", "openvino")
    head = ("network", "an occlusion map takes", *(f"faster than {PEERS[key]}" for key in picked))
    body = [
        (
            name,
            f"{each['seconds']['auto']['median'] * each['positions']:.2g} s, {each['positions']} positions",
            *(f"{each['auto_faster'][key]['median']:.1f} times" for key in picked),
        )
        for name, each in peers.items()
    ]
    return rows("Occlusion, exact", head, body)[2:]


def peers(found: dict[str, Any]) -> list[str]:
    body = []
    for name, each in found.items():
        asked = BARS.get(name, {})
        cells = [
            spread(each["faster"][key]) + (f", bar {asked[key]}" if key in asked else "")
            if key in each["faster"]
            else ""
            for key in PEERS
        ]
        lost = [PEERS[key] for key in asked if each["faster"][key]["median"] < asked[key]]
        verdict = "missed: " + "; ".join(lost) if lost else "met" if asked else ""
        body.append((name, milliseconds(each, "incremental"), *cells, verdict))
    head = ("network", "ms a position", *PEERS.values(), "bars")
    return [*rows("How many times faster than", head, body), *own(found), *agreement(found)]


def own(found: dict[str, Any]) -> list[str]:
    head = (
        "network", "the engine, ms", "with torch operations, ms", "full path, ms", "`auto`, ms", "it ran",
        "full path / `auto`", "fastest peer / `auto`", "multiply-adds left",
        "the most that direct convolutions can gain", "gained over torch, dense",
    )  # fmt: skip
    body = []
    for name, each in found.items():
        work = each["multiply_adds"]
        share = work["least"] / work["full"]
        timed = [milliseconds(each, key) for key in ("incremental", "torch operations", "full", "auto")]
        peer, ratio = fastest(each)
        ratios = (spread(each["auto_faster"]["full"], 2), f"{spread(ratio, 2)}, {PEERS[peer]}")
        gained = f"{each['faster']['dense']['median']:.1f}"
        body.append((name, *timed, each["auto"]["engine"], *ratios, f"{share:.1%}", f"{1 / share:.1f}", gained))
    return rows("Eyeline's own paths, a position", head, body)


def agreement(found: dict[str, Any]) -> list[str]:
    columns = {"incremental": "engine", "full": "full path", "captum": "Captum", "dense": "torch, dense"}
    head = (
        "network", *columns.values(), "OpenVINO, float32", "OpenVINO, its own precision", "which takes, ms", "range",
    )  # fmt: skip
    body = []
    for name, each in found.items():
        span, own = each["map_range"], each["openvino_own_precision"]
        cells = [f"{each['difference'][key] / span:.0e}" for key in (*columns, "openvino")]
        body.append((name, *cells, f"{own['difference'] / span:.0e}", f"{1000 * own['seconds']:.2f}", f"{span:.2g}"))
    return rows("Largest difference from the loop's probabilities, as a share of the map's range", head, body)


def exact(found: dict[str, Any]) -> list[str]:
    head = (
        "network", "positions", "range of the map", "the engine's largest error", "float32, contiguous, batch 1",
        "float32, folded, channels last, batch 8", "times float32's", "share of the range", "exact",
    )  # fmt: skip
    body = [
        (
            name,
            str(each["positions"]),
            f"{each['map_range']:.3g}",
            f"{each['incremental']:.1e}",
            *(f"{value:.1e}" for value in each["float32"].values()),
            f"{each['times_float32']:.2f}",
            f"{each['share_of_range']:.0e}",
            each["exact"],
        )
        for name, each in found.items()
    ]
    return rows("Largest error of the logits, every class, every position, against float64", head, body)


def keras(found: dict[str, Any]) -> list[str]:
    runners = {"loop": "`model.predict` in a loop", "tf-explain": "tf-explain", "xplique": "Xplique"}
    head = (
        "Keras on TensorFlow", "eyeline, ms a position", "it ran",
        *(part for each in runners.values() for part in (f"{each}, ms", "eyeline is faster")),
    )  # fmt: skip
    body = []
    for name, each in found.items():
        cells = [part for key in runners for part in (milliseconds(each, key), spread(each["faster"][key]))]
        body.append((name, milliseconds(each, "eyeline"), each["engine"], *cells))
    return rows("Keras models", head, body)


def growth(found: dict[str, Any]) -> list[str]:
    head = (
        "network", "changed", "positions", "the engine, ms a position", "full path, ms a position", "faster",
        "multiply-adds left",
    )  # fmt: skip
    body = []
    for item, series in found.items():
        name, setting = item.split(", ")
        for value, each in series["values"].items():
            timed = (milliseconds(each, "incremental"), milliseconds(each, "full"), spread(each["faster"]))
            place = f"{setting} {value}" + (f", stride {each['settings']['stride']}" if setting == "window" else "")
            body.append((name, place, str(each["positions"]), *timed, f"{each['share']:.1%}"))
    return rows("How the cost grows", head, body)


def memory(found: dict[str, Any]) -> list[str]:
    columns = {
        "incremental": "the engine", "full": "full path", "captum": "Captum", "dense": "torch, dense",
        "openvino": "OpenVINO",
    }  # fmt: skip
    names = dict.fromkeys(item.split(", ")[0] for item in found)
    grown = {item: f"{each['grown']:.0f}" for item, each in found.items()}
    body = [(name, *(grown.get(f"{name}, {key}", "") for key in columns)) for name in names]
    return rows("MiB that the process grows by for one map", ("network", *columns.values()), body)


def start(found: dict[str, Any]) -> list[str]:
    head = (
        "network", "reading", "preparing", "first clean pass", "together", "allowed", "met", "a clean pass",
        "a dense pass",
    )  # fmt: skip
    body = []
    for name, each in found.items():
        if name == "imports":
            continue
        allowed = 2 * each["dense"] + START
        stages = (each["capture"], each["prepare"], each["clean"], began(each), allowed)
        cells = [f"{value:.2f}" for value in stages]
        passes = (f"{each['clean, again']:.3f}", f"{each['dense']:.3f}")
        body.append((name, *cells, "yes" if began(each) <= allowed else "no", *passes))
    table = rows("Seconds before the first position, once a network", head, body)
    if "imports" in found:
        table += [f"Importing the engine takes {found['imports']['extra']:.2f} s beyond importing torch.", ""]
    return table


def threads(single: dict[str, Any], many: dict[str, Any]) -> list[str]:
    """How many times faster where all have more threads, and what that leaves of the advantage with one."""
    picked = ("captum", "dense", "openvino")
    head = ("network", "ms a position", *(f"{PEERS[key]}: faster; of one thread's" for key in picked), "bars")
    body = []
    for name, each in many.items():
        asked, left = shared(name), advantage_kept(single.get(name, {}), each)
        ends = {key: f", bar {asked[key]:.2f}" if key in asked else "" for key in picked}
        ends = {key: f"{end}; {left[key]:.2f}" if key in left else end for key, end in ends.items()}
        verdict = "met" if all(bar.met for bar in every_core(name, each)) else "missed"
        cells = [spread(each["faster"][key]) + ends[key] for key in picked]
        body.append((name, milliseconds(each, "incremental"), *cells, verdict if asked else ""))
    return rows("All on every core", head, body)


SECTIONS: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    each.__name__: each for each in (peers, exact, keras, growth, memory, start)
}
