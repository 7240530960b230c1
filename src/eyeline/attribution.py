"""The result of every method: maps with the scores, the target, the unit and how they were made."""

import dataclasses
import io
import json
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from eyeline import target as targets
from eyeline._files import writing
from eyeline._typing import Boxes, Images, Maps, Scores
from eyeline.errors import InputError, UnsupportedError
from eyeline.image import Fit
from eyeline.window import Overlap, lay

Measure = Literal["drop", "score", "complement"]
"""What one window contributes.

drop: the clean score minus the covered one (kept windows: their score minus the fully covered one).
score: the score of the covered image. complement: 1 minus that.
"""

Unit = Literal["probability", "log-odds", "score"]
"""What the scores are. "score" is whatever the model returns."""

VERSION = 1
_DAMAGE = (zipfile.BadZipFile, zlib.error, RuntimeError, MemoryError)  # also: another compression, a false size
RAN = ("engine", "batch", "windows", "seconds")


@dataclass(frozen=True, eq=False)
class Sweep:
    """The scores of every class for every window: any target's map comes from it without the model.

    Args:
        boxes: the windows, in raster order.
        scores: of the image with each window covered (or only that window kept).
        reference: scores that a drop is measured against: of the clean image, or, where windows are kept, of
            the fully covered one.
        measure: what one window contributes.
        overlap: how windows on one pixel combine.
        keep: True where windows were kept and all else covered.
    """

    boxes: Boxes
    scores: Float[np.ndarray, "n windows classes"]
    reference: Scores
    measure: Measure = "drop"
    overlap: Overlap = "mean"
    keep: bool = False

    def values(self, weights: Scores) -> Float[np.ndarray, "n windows"]:
        """Return what each window contributes, in the unit of the scores, as float64."""
        covered: np.ndarray = np.einsum("nwc,nc->nw", self.scores, weights, dtype=np.float64)
        if self.measure == "score":
            return covered
        if self.measure == "complement":
            return np.asarray(1 - covered)
        reference = np.einsum("nc,nc->n", self.reference, weights, dtype=np.float64)[:, None]
        return np.asarray(covered - reference if self.keep else reference - covered)

    def maps(self, weights: Scores, size: tuple[int, ...]) -> Maps:
        """Lay the values over the image."""
        return lay(self.values(weights), self.boxes, size, self.overlap).astype(np.float32)


@dataclass(frozen=True, eq=False, repr=False)
class Attribution:
    """Maps, and everything that says what their numbers mean.

    Args:
        maps: one number per pixel (or per pixel and channel), raw and signed, float32.
        scores: of the clean images.
        weights: over the scores; the explained scalar is their weighted sum.
        unit: of the scores.
        quantity: what a number of the map is, in words with its unit, for legends.
        method: the method's name and all its settings.
        targets: the explained scalar of each image in words.
        images: in image space.
        names: of the images: file names, or "image 0".
        fits: how each file was fitted to the model's size; None for arrays and tensors.
        classes: names of the classes, where the model has them.
        provenance: what was assumed and measured: model, versions, layout, preprocessing, engine, seconds.
        sweep: occlusion only: the scores of every window.
    """

    maps: Maps
    scores: Scores
    weights: Scores
    unit: Unit
    quantity: str
    method: dict[str, Any]
    targets: tuple[str, ...]
    images: Images
    names: tuple[str, ...]
    fits: tuple[Fit | None, ...]
    classes: tuple[str, ...] | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    sweep: Sweep | None = None

    def __repr__(self) -> str:
        return f"<Attribution {self.maps.shape}: {self.line()}>"

    def _repr_html_(self) -> str:
        from eyeline.page.notebook import display  # the one step up: a notebook asks the result itself

        return display(self)

    def line(self) -> str:
        """Say in one line what was run and what was assumed."""
        low, high = self.provenance.get("range", (float("nan"), float("nan")))
        ran = ", ".join(f"{key} {self.provenance[key]}" for key in RAN if key in self.provenance)
        return (
            f"{self.assumptions()}; values {low:.3g}..{high:.3g}; "
            f"target {', '.join(dict.fromkeys(self.targets))}; {ran}"
        )

    def assumptions(self) -> str:
        """Say the part of `line` that holds for other images of this shape too: method, model, shape, fit, unit."""
        settings = ", ".join(
            f"{key}={value}" for key, value in self.method.items() if key != "name" and value is not None
        )
        model = ", ".join(f"{key} {value}" for key, value in self.provenance.get("model", {}).items())
        unit = f"{self.unit} = ln(p / (1 - p))" if self.unit == "log-odds" else self.unit
        return (
            f"{self.method['name']} ({settings}); model: {model}; images {self.provenance.get('images')}, "
            f"{'/'.join(self.provenance.get('fit', []))}; unit {unit}"
        )

    def to(self, target: object) -> "Attribution":
        """Explain another target from the kept sweep, without running the model.

        Args:
            target: as for `explain`: an index, a name, `Contrast(a, b)`, `Top(2)`, weights.

        Raises:
            UnsupportedError: the method keeps no sweep (gradients).
            InputError: no such class.
        """
        if self.sweep is None:
            raise UnsupportedError(
                f"to() must have a sweep to read from, but the method {self.method.get('name')!r} keeps none. "
                "Run explain again with target=."
            )
        weights = targets.as_target(target)(self.scores, self.classes)
        return dataclasses.replace(
            self,
            maps=self.sweep.maps(weights, self.images.shape[1:-1]),
            weights=weights,
            targets=targets.describe(weights, self.classes),
        )

    def value(self) -> Float[np.ndarray, "n"]:
        """Return the explained scalar of each clean image, in the unit of the scores."""
        return np.asarray(np.einsum("nc,nc->n", self.scores, self.weights, dtype=np.float64))

    def save(self, path: str | Path) -> Path:
        """Write everything to one .npz file: arrays and JSON, no pickle.

        Raises:
            InputError: the name does not end in .npz, or the folder cannot be written.
        """
        target = Path(path)
        if target.suffix != ".npz":
            raise InputError(
                f"the file's name must end in .npz, but got {target.name!r}. Pass {target.with_suffix('.npz').name!r}."
            )
        arrays: dict[str, np.ndarray] = {
            "maps": self.maps, "scores": self.scores, "weights": self.weights, "images": self.images,
        }  # fmt: skip
        meta: dict[str, Any] = {
            "eyeline": VERSION, "unit": self.unit, "quantity": self.quantity, "method": self.method,
            "targets": self.targets, "names": self.names, "classes": self.classes,
            "fits": [dataclasses.asdict(fit) if fit else None for fit in self.fits],
            "provenance": self.provenance,
        }  # fmt: skip
        if self.sweep is not None:
            sweep = self.sweep
            arrays |= {
                "sweep_boxes": sweep.boxes, "sweep_scores": sweep.scores, "sweep_reference": sweep.reference,
            }  # fmt: skip
            meta["sweep"] = {"measure": sweep.measure, "overlap": sweep.overlap, "keep": sweep.keep}
        arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)
        with writing(target) as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        return target

    @classmethod
    def load(cls, path: str | Path) -> "Attribution":
        """Read what `save` wrote. No code of the file is run.

        Raises:
            InputError: no such file, or not one that `save` wrote.
        """
        try:
            with np.load(io.BytesIO(Path(path).read_bytes()), allow_pickle=False) as file:
                arrays = dict(file)
            meta = json.loads(arrays["meta"].tobytes())
            if meta["eyeline"] != VERSION:
                raise ValueError(f"format {meta['eyeline']}")
            return cls._read(arrays, meta)
        except FileNotFoundError as error:
            raise InputError(f"the file must exist, but got {str(path)!r}. Check the path.") from error
        except (OSError, EOFError, LookupError, ValueError, TypeError, AttributeError, *_DAMAGE) as error:
            raise InputError(
                f"the file must be one that Attribution.save wrote, but {str(path)!r} is not ({error}). "
                "Make it again with save()."
            ) from error

    @classmethod
    def _read(cls, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> "Attribution":
        sweep = None
        if "sweep" in meta:
            parts = (arrays["sweep_boxes"], arrays["sweep_scores"], arrays["sweep_reference"])
            sweep = Sweep(*parts, **meta["sweep"])
        return cls(
            maps=arrays["maps"],
            scores=arrays["scores"],
            weights=arrays["weights"],
            images=arrays["images"],
            unit=meta["unit"],
            quantity=meta["quantity"],
            method=meta["method"],
            targets=tuple(meta["targets"]),
            names=tuple(meta["names"]),
            fits=tuple(Fit.read(fit) if fit else None for fit in meta["fits"]),
            classes=None if meta["classes"] is None else tuple(meta["classes"]),
            provenance=meta["provenance"],
            sweep=sweep,
        )
