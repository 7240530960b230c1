"""The sections of an audit's report: shortcuts, groups that are none, images right for the wrong reason, classes."""

import numpy as np

from eyeline import target
from eyeline.audit.auditing import Audit
from eyeline.audit.clusters import Clusters
from eyeline.audit.drawn import Drawn, around, difference, outline
from eyeline.audit.evidence import share_outside
from eyeline.audit.html import Card, Shot, counted, percent, region, safe, sheet, table
from eyeline.audit.labelled import Labelled
from eyeline.audit.means import MeanMaps
from eyeline.audit.shortcuts import TURNED, Finding
from eyeline.audit.suspects import SEPARATED
from eyeline.limits import short

GROUP, PASTED, FEW, WRONG = 12, 6, 6, 24
"""Images that are shown of a shortcut's group, of those it turned, of a group that is none, of wrong reasons."""

CENTRAL = 4
"""Images that stand for a cluster."""


class Pages:
    """Writes sections about a store."""

    def __init__(self, found: Audit, known: Labelled, drawn: Drawn) -> None:
        self.found, self.known, self.drawn = found, known, drawn
        self.outlines: list[str] = []

    def shortcut(self, place: int, finding: Finding) -> str:
        """Return one shortcut: in words, the pattern, the group, what pasting did, and the figures."""
        name = self._outlined(around(finding.region))
        return f"""<section aria-labelledby="shortcut-{place}">
<h2 id="shortcut-{place}">Suspected shortcut {place}: “{safe(finding.label)}”</h2>
<p>{safe(said(finding))}</p>
<h3>The pattern</h3>
{self._pattern(finding, name)}
<h3>Images that have it</h3>
{self._group(finding, name, GROUP)}
<h3>Put on images of other classes</h3>
{self._pasted(finding, name)}
<h3>The figures</h3>
{table(figures(finding))}
</section>"""

    def others(self, findings: list[Finding], shown: int) -> str:
        """Return groups that were tested and are no shortcut."""
        if not findings:
            return "<p>No other group was set apart from its class.</p>"
        parts, order = [], sorted(findings, key=lambda each: -each.separation / SEPARATED[each.seen_in])
        for finding in order[:shown]:
            name = self._outlined(around(finding.region))
            head = f"{finding.label}, {len(finding.rows)} images: {why_not(finding)}"
            inner = f"{self._pattern(finding, name)}{self._group(finding, name, FEW)}{table(figures(finding))}"
            parts.append(f"<details><summary>{safe(head)}</summary>{inner}</details>")
        words = f"{counted(shown, len(findings), 'groups')}, those first that are set apart most clearly:"
        return f"<p>{words}</p>{''.join(parts)}"

    def wrong_reason(self) -> str:
        """Return images that are right with most of their evidence outside the region, the worst first."""
        inside, lost, rows = self.found.region, self.found.outside, self.found.wrong_reason
        if inside is None or lost is None:
            return "<p>Not looked at: no region was given that says where evidence belongs (<code>--region</code>).</p>"
        if not rows:
            return "<p>No image that is right has evidence outside the region.</p>"
        shown = rows[:WRONG]
        one = self._outlined(inside) if inside.ndim == 2 else ""
        cards = []
        for row, values in zip(shown, self.drawn.maps(shown), strict=True):
            name = one or self._outlined(inside[row])
            cards.append(self._card(row, values, name, f"{percent(float(lost[row]))} outside"))
        most = int((lost[list(rows)] > 0.5).sum())
        return (
            f"<p>{most:,} of the {int(self.known.right.sum()):,} images that are right have more than half of their "
            "evidence, the positive numbers of the map, outside the outlined region. "
            f"{counted(len(shown), len(rows))} with any of it outside, the most first:</p>{sheet(cards)}"
        )

    def of_class(self, mean: MeanMaps, clusters: Clusters | None) -> str:
        """Return a class's mean maps and the clusters of its maps, on one scale."""
        count, right = sum(mean.counts), mean.counts[0]
        parts = [] if clusters is None else [clusters.of(each) for each in range(clusters.count)]
        means = [self.drawn.maps(rows).mean(axis=0, dtype=np.float64) for rows in parts]
        every = [each for each in (mean.all, mean.right, mean.wrong, *means) if each is not None]
        high = max(float(np.abs(each).max()) for each in every)
        cards = [self._mean(mean.all, high, "all images", count)]
        cards += [
            self._mean(values, high, words, n)
            for values, words, n in zip((mean.right, mean.wrong), ("right", "wrong"), mean.counts, strict=True)
            if values is not None and n < count
        ]
        return f"""<section class="class">
<h3>{safe(mean.label)}</h3>
<p>{right:,} of {count:,} images are right ({percent(right / count)}). Full colour of this class's mean maps is
±{safe(short(high))}.</p>
<h4>Mean maps</h4>
{sheet(cards, "small")}
{self._clusters(clusters, means, high)}
</section>"""

    def _clusters(self, clusters: Clusters | None, means: list[np.ndarray], high: float) -> str:
        if clusters is None:
            return "<p class='faint'>Too few images to be clustered.</p>"
        words = f"eigengap {short(clusters.eigengap)} after {clusters.count} of {len(clusters.eigenvalues)} eigenvalues"
        if clusters.count == 1:
            return f"<p>The maps fall into no clusters ({words}).</p>"
        parts = [f"<h4>Clusters of the maps</h4><p>{clusters.count}; {words}, stability {clusters.stability:.2f}.</p>"]
        for cluster in range(clusters.count):
            rows = clusters.of(cluster)
            fine = percent(float(self.known.right[list(rows)].mean()))
            shown = rows[:CENTRAL]
            cards = [self._mean(means[cluster], high, f"cluster {cluster + 1}, {fine} right", len(rows))]
            cards += [self._card(row, each, "") for row, each in zip(shown, self.drawn.maps(shown), strict=True)]
            parts.append(sheet(cards, "row"))
        return "".join(parts)

    def _mean(self, values: np.ndarray, high: float, words: str, count: int) -> Card:
        shot = Shot(self.drawn.alone(values, high), f"mean map, {words}")
        return Card((shot,), f"Mean map: {words}", f"{count:,} image{'s' if count > 1 else ''}")

    def _pattern(self, finding: Finding, name: str) -> str:
        cards = [Card((Shot(difference(finding.pattern), "the pattern", name),), "The pattern", "grey: no difference")]
        if finding.means is not None:
            group, rest = (Shot(self.drawn.seen(each), "a mean image", name) for each in finding.means)
            cards = [
                Card((group,), "Mean of the group", f"{len(finding.rows):,} images"),
                Card((rest,), "Mean of the rest of the class"),
                *cards,
            ]
        return sheet(cards, "small")

    def _group(self, finding: Finding, name: str, most: int) -> str:
        maps = self.drawn.maps(finding.rows)
        inside = 1 - np.nan_to_num(share_outside(maps, around(finding.region)), nan=1.0)
        order = np.argsort(-inside, kind="stable")[:most]
        cards = [
            self._card(finding.rows[i], maps[i], name, f"{percent(float(inside[i]))} in the outline") for i in order
        ]
        words = (
            f"{counted(len(order), len(finding.rows))}. First those whose evidence, the positive numbers of the map, "
        )
        return f"<p>{words}lies most inside the outline; its share is said.</p>{sheet(cards)}"

    def _pasted(self, finding: Finding, name: str) -> str:
        pasted = finding.pasted
        if pasted is None:
            return ""
        turned = np.flatnonzero((pasted.before != pasted.column) & (pasted.after == pasted.column))
        if not len(turned):
            return "<p>None was turned.</p>"
        cards = []
        for i in turned[:PASTED]:
            row = pasted.rows[i]
            before = self.drawn.image(row)
            after = np.clip(before + finding.pattern, *finding.limits)
            was, now = (self._class(int(each[i])) for each in (pasted.before, pasted.after))
            shots = Shot(self.drawn.seen(before), f"{was}, as it is"), Shot(self.drawn.seen(after), "changed", name)
            cards.append(Card(shots, f"was {was}, is now {now}", self.drawn.store.items[row].name))
        words = f"{counted(len(cards), len(turned))} that became “{finding.label}”, as they are and with the pattern:"
        return f"<p>{safe(words)}</p>{sheet(cards)}"

    def _card(self, row: int, values: np.ndarray, name: str, words: str = "") -> Card:
        pixels, item, best = self.drawn.image(row), self.drawn.store.items[row], int(self.known.best[row])
        called = "right" if self.known.right[row] else f"labelled {item.label}, called {self._class(best)}"
        shots = (
            Shot(self.drawn.seen(pixels), item.name, name),
            Shot(self.drawn.over(pixels, values), f"the map of {item.name}", name),
        )
        return Card(shots, item.name, f"{called}; {words}" if words else called)

    def _class(self, column: int) -> str:
        return target.name(column, self.drawn.store.manifest.classes)

    def _outlined(self, inside: np.ndarray) -> str:
        name = f"region-{len(self.outlines)}"
        self.outlines.append(region(name, outline(inside)))
        return name


def said(finding: Finding) -> str:
    """Say a shortcut in words."""
    rows, columns = (np.flatnonzero(finding.region.any(axis=1 - axis)) for axis in (0, 1))
    others = f"{len(finding.pasted.rows)} " if finding.pasted is not None else ""
    words = (
        f"{len(finding.rows)} images, {percent(finding.share)} of those of “{finding.label}” that were looked at, "
        f"share a pattern within rows {rows[0]} to {rows[-1]} and columns {columns[0]} to {columns[-1]}. Put on "
        f"{others}images of other classes, it turns {percent(finding.turned)} of them into “{finding.label}”."
    )
    if finding.covered is None:
        return words
    (before, after), group = finding.covered.shares, finding.covered.among(finding.rows).shares
    return (
        f"{words} With its pixels covered in every image, {percent(after)} of the class are right ({percent(before)} "
        f"before), and {percent(group[1])} of the group ({percent(group[0])} before)."
    )


def figures(finding: Finding) -> list[tuple[str, str, str]]:
    """Return what was measured of a finding, with units and definitions."""
    pasted = "" if finding.pasted is None else f" of {len(finding.pasted.rows)}"
    rows = [
        ("separation", f"{short(finding.separation)} in {finding.seen_in}",
         "distance of the group from the rest of its class along the pattern, over the sum of the two standard "
         f"deviations; no unit. Below {SEPARATED[finding.seen_in]:g} a group is no suspect."),
        ("comes back", f"{finding.stability:.2f}",
         "agreement (adjusted Rand index) with what is found where half of the images are searched; 1: the same, "
         "0: chance"),
        ("turned", f"{percent(finding.turned)}{pasted}",
         f"images of other classes that became “{finding.label}” with the pattern added, more than were before"),
        ("opposite", f"{percent(finding.opposite)}{pasted}",
         f"the same with the signs reversed. A shortcut turns {percent(TURNED)} more than its opposite."),
        ("taken off", f"{_change(finding.kept)} of {len(finding.rows)}",
         f"images of the group called “{finding.label}”, before → after the pattern was subtracted"),
    ]  # fmt: skip
    if finding.covered is None:
        return [*rows, ("covered", "not tested", "the pattern is everywhere: nothing is left beside it")]
    for name, change in (("class", finding.covered), ("group", finding.covered.among(finding.rows))):
        rows.append(
            (f"covered, {name}", f"{_change(change.shares)} of {len(change.rows)}",
             f"images of the {name} that are right, before → after the pattern's pixels were covered in every image")
        )  # fmt: skip
    return rows


def why_not(finding: Finding) -> str:
    """Say why a group is no shortcut."""
    if finding.separation < SEPARATED[finding.seen_in]:
        return f"not set apart (separation {short(finding.separation)} in {finding.seen_in})"
    return f"the model does not use it (it turns {percent(finding.turned)}, its opposite {percent(finding.opposite)})"


def _change(shares: tuple[float, float]) -> str:
    return f"{percent(shares[0])} → {percent(shares[1])}"
