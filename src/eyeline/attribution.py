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
from eyeline._typing import Images, Maps, Scores
from eyeline.errors import InputError, UnsupportedError
from eyeline.image import Fit
from eyeline.sweep import Sweep

Unit = Literal["probability", "log-odds", "score"]
"""What the scores are. "score" is whatever the model returns."""

VERSION = 1
_DAMAGE = (zipfile.BadZipFile, zlib.error, RuntimeError, MemoryError)  # also: another compression, a false size
RAN = ("engine", "batch", "windows", "seconds")


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
        sweep: the scores of every covered image, where the method covers.
        further: maps beside the first, by name: "standard_error", "deviation", "agreement"; see the method.

    Examples:
        >>> import numpy as np, eyeline
        >>> model = eyeline.load(lambda images: images[:, :2, :2].mean(axis=(1, 2)), input_size=(4, 4))
        >>> image = np.ones((4, 4, 3), dtype=np.float32)
        >>> attribution = eyeline.explain(model, image, window=2, stride=2, baseline=eyeline.Constant(0))
        >>> attribution.maps.shape, attribution.unit, attribution.targets
        ((1, 4, 4), 'score', ('class 0',))
        >>> attribution.to(2).targets
        ('class 2',)
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
    further: dict[str, Maps] = field(default_factory=dict)

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
        weights, size = targets.as_target(target)(self.scores, self.classes), self.images.shape[1:-1]
        return dataclasses.replace(
            self,
            maps=self.sweep.maps(weights, size),
            further=self.sweep.further(weights, size),
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
        arrays |= {f"further_{name}": each for name, each in self.further.items()}
        if self.sweep is not None:
            arrays |= {f"sweep_{name}": each for name, each in self.sweep.arrays().items()}
            meta["sweep"] = self.sweep.words()
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
        def those(prefix: str) -> dict[str, np.ndarray]:
            return {name.removeprefix(prefix): each for name, each in arrays.items() if name.startswith(prefix)}

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
            sweep=Sweep.read(those("sweep_"), meta["sweep"]) if "sweep" in meta else None,
            further=those("further_"),
        )
