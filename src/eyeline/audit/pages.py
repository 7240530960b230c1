"""The report of an audit: one HTML file with everything in it, worst first, for any browser, without a network."""

from importlib.resources import files
from pathlib import Path

import numpy as np

from eyeline._files import writing
from eyeline.audit.auditing import Audit, source_of
from eyeline.audit.drawn import Drawn
from eyeline.audit.html import counted, legend, percent, safe
from eyeline.audit.labelled import Labelled, labelled
from eyeline.audit.means import mean_maps
from eyeline.audit.sections import Pages
from eyeline.dataset.store import Store
from eyeline.errors import InputError, UnsupportedError
from eyeline.limits import Limits
from eyeline.models.base import Model
from eyeline.page import digest, named, part

SHORTCUTS, OTHERS, CLASSES = 12, 6, 20
"""Shortcuts, groups that are none, and classes that are shown; the others are counted."""

NEXT = (
    "Look at the images. May the pattern decide? A beak may, for a bird; a watermark may not. Only you can say. "
    "If it may not: take it out of the pictures (crop it, or cover it), or collect pictures of this class without "
    "it and of other classes with it; train again, and audit again. What “covered” tells of the group is what to "
    "expect of this class where the pattern is not there."
)

CANNOT = (
    "A mark that all images of a class have is no group within it: only a region can show it.",
    "Marks that move or turn freely have no pixels of their own; the clusters of the maps may still show them.",
    "A mark on fewer than one in twenty images of a class, or on fewer than five, is too rare.",
    "That nothing was found does not prove that there is nothing.",
)


def report(found: Audit, store: Store, model: Model, path: str | Path, *, images: object = None) -> Path:
    """Write what an audit found as a page: the verdict, each shortcut with its images, classes with their mean maps.

    It is one file and asks for nothing from a network. What is too much to show is counted: no more than 12 shortcuts
    and 20 classes, those with shortcuts first, and at most 24 images of each kind.

    Args:
        found: what `audit` returned.
        store: that was audited.
        model: that made it.
        path: of the file, ending in .html. An earlier file is replaced.
        images: as for `audit`.

    Raises:
        InputError: another ending, a folder that cannot be written, images that are no longer there or have channels
            that are no colours.
        UnsupportedError: signals or volumes.
    """
    target = named(path)
    text = page(found, store, model, images=images)
    with writing(target) as file:
        file.write(text.encode("utf-8"))
    return target


def page(found: Audit, store: Store, model: Model, *, images: object = None) -> str:
    """Return the HTML of a report; errors as those of `report`."""
    _check(store)
    known, drawn = labelled(store), Drawn(store, model, source_of(store, images))
    pages = Pages(found, known, drawn)
    body = "\n".join((_shortcuts(found, pages), _rest(found, pages), _classes(found, store, pages)))
    style = part("page.css") + files("eyeline.audit").joinpath("page.css").read_text(encoding="utf-8")
    policy = f"default-src 'none'; img-src data:; style-src '{digest(style)}'"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>eyeline audit</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>Is the model right for the right reason?</h1>
{_verdict(found, store, known)}
</header>
<main>
{_reading(drawn)}
{body}
<section aria-labelledby="limits">
<h2 id="limits">What this report cannot say</h2>
<ul>{"".join(f"<li>{safe(each)}</li>" for each in CANNOT)}</ul>
</section>
{_made(found, store)}
</main>
<svg class="outlines" aria-hidden="true">{"".join(pages.outlines)}</svg>
</body>
</html>
"""


def _check(store: Store) -> None:
    """Raise where the store's images are no pictures."""
    size = store.manifest.image
    if len(size) != 3:
        raise UnsupportedError(
            f"a report must be of pictures with two spatial axes, but the store's images have {len(size) - 1}. "
            "Write the audit as .json."
        )
    if size[-1] not in (1, 3):
        raise InputError(
            f"a report must be of pictures with 1 or 3 channels, but the store's images have {size[-1]}. "
            "Write the audit as .json."
        )


def _verdict(found: Audit, store: Store, known: Labelled) -> str:
    """Say on top what was found."""
    marked = list(dict.fromkeys(each.label for each in found.shortcuts))
    count = len(known.classes)
    head = f"Suspected shortcuts in {len(marked)} of {count} classes: {', '.join(f'“{each}”' for each in marked)}."
    if not marked:
        head = f"No shortcut was found in {count} classes. That does not prove that there is none."
    lines = [
        f"“{each.label}”: {len(each.rows)} images share a pattern. Put on images of other classes, it turns "
        f"{percent(each.turned)} of them into “{each.label}”."
        for each in found.shortcuts[:SHORTCUTS]
    ]
    if found.outside is not None:
        share = float(np.nanmean(found.outside))
        lines.append(f"{percent(share)} of the evidence lies outside the region, mean over images.")
    if found.skipped:
        lines.append(f"Too few images to be compared: {', '.join(found.skipped)}.")
    items = "".join(f"<li>{safe(each)}</li>" for each in lines)
    n = int(known.done.sum())
    facts = f"{n:,} labelled images, {percent(found.accuracy)} of them right. Store: {store.path.name}."
    return (
        f'<div class="verdict {"bad" if marked else "clear"}"><p><strong>{safe(head)}</strong></p>'
        f'{f"<ul>{items}</ul>" if items else ""}</div><p class="faint">{safe(facts)}</p>'
    )


def _reading(drawn: Drawn) -> str:
    """Say what the colours mean."""
    words = "Red parts speak for what is explained: it loses when they are covered. Blue parts speak against it."
    if not drawn.key.supports:
        words = f"A number of the map is: {safe(drawn.key.quantity)}."
    return f"""<section aria-labelledby="reading">
<h2 id="reading">How to read the pictures</h2>
<p>Each image stands beside its map, which is drawn over the image in grey. {words} The outline goes round the pixels
of a pattern, or the region where evidence belongs.</p>
{legend(drawn.key, drawn.bar(drawn.key.style, drawn.key.scale))}
</section>"""


def _shortcuts(found: Audit, pages: Pages) -> str:
    shown = found.shortcuts[:SHORTCUTS]
    if not shown:
        return ""
    parts = [pages.shortcut(place, each) for place, each in enumerate(shown, start=1)]
    left = f"<p>{counted(len(shown), len(found.shortcuts), 'shortcuts')} shown, the worst.</p>"
    return "\n".join(
        [
            *parts,
            left if len(shown) < len(found.shortcuts) else "",
            f'<section aria-labelledby="next"><h2 id="next">What to do</h2><p>{safe(NEXT)}</p></section>',
        ]
    )


def _rest(found: Audit, pages: Pages) -> str:
    others = [each for each in found.findings if not each.is_shortcut]
    return f"""<section aria-labelledby="wrong">
<h2 id="wrong">Right for the wrong reason</h2>
{pages.wrong_reason()}
</section>
<section aria-labelledby="others">
<h2 id="others">Groups that were tested and are no shortcut</h2>
{pages.others(others, min(OTHERS, len(others)))}
</section>"""


def _classes(found: Audit, store: Store, pages: Pages) -> str:
    means, clusters = mean_maps(store), {each.label: each for each in found.clusters}
    marked = list(dict.fromkeys(each.label for each in found.shortcuts))

    def worst(label: str) -> tuple[int, float]:
        stable = clusters[label].stability if label in clusters else 0.0
        return (marked.index(label) if label in marked else len(marked)), -np.nan_to_num(stable)

    order = sorted(means, key=worst)
    shown = order[:CLASSES]
    left = "" if len(shown) == len(order) else f" {counted(len(shown), len(order), 'classes')} are shown."
    scale = Limits(1.0, "both", "", 1.0)
    return f"""<section aria-labelledby="classes">
<h2 id="classes">Every class</h2>
<p>A mean map shows where the class's evidence lies on the whole. Maps are clustered by where their positive
numbers lie: a mark that some images have is often a cluster of its own. The <em>eigengap</em>, a number without unit,
is large where that number of clusters is clear; <em>stability</em> is how well the clusters of random halves agree, 1
where they are the same, 0 as by chance. Classes with shortcuts come first, then those with the most stable
clusters.{left}</p>
<div class="legend"><img src="{pages.drawn.bar("map", scale)}" alt="blue, white, red">
<div class="ends"><span>against</span><span>0</span><span>for</span></div><p>{safe(store.manifest.quantity)}</p></div>
{"".join(pages.of_class(means[label], clusters.get(label)) for label in shown)}
</section>"""


def _made(found: Audit, store: Store) -> str:
    manifest = store.manifest
    method = {key: value for key, value in manifest.method.items() if key != "name" and value is not None}
    rows = {
        "method": f"{manifest.method.get('name')}, " + ", ".join(f"{key}={value}" for key, value in method.items()),
        "explained": "each image's label" if manifest.target == "label" else manifest.target,
        "a number of a map": manifest.quantity,
        "scores": manifest.unit,
        "images": " × ".join(map(str, manifest.image)),
        "model": ", ".join(f"{key}: {value}" for key, value in manifest.model.items()),
    }
    body = "".join(f'<tr><th scope="row">{safe(key)}</th><td>{safe(value)}</td></tr>' for key, value in rows.items())
    return f"<details><summary>How the maps were made</summary><table><tbody>{body}</tbody></table></details>"
