"""The methods, the table of their names, and `explain`, a thin layer over the same objects."""

import dataclasses
from collections.abc import Iterable
from typing import Any, overload

from eyeline.attribution import Attribution
from eyeline.errors import InputError, nearest
from eyeline.methods.base import Method
from eyeline.methods.blurred import BlurIG
from eyeline.methods.cam import GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM
from eyeline.methods.eigencam import EigenCAM
from eyeline.methods.expected import ExpectedGradients
from eyeline.methods.gradient import Gradient, GradientInput
from eyeline.methods.guided import GuidedIG
from eyeline.methods.inner import having
from eyeline.methods.inputs import explain_inputs
from eyeline.methods.integrated import IntegratedGradients
from eyeline.methods.occlusion import Occlusion
from eyeline.methods.pairs import Pairs
from eyeline.methods.peers import PRESETS
from eyeline.methods.presets import preset_settings
from eyeline.methods.relus import Deconvnet, GuidedBackpropagation, GuidedGradCAM
from eyeline.methods.rise import Rise
from eyeline.methods.scorecam import ScoreCAM
from eyeline.methods.smooth import SmoothGrad, SmoothGradSquared, VarGrad
from eyeline.methods.superpixels import Superpixels
from eyeline.methods.together import BaselineAgreement, MultiScale
from eyeline.models.base import Model
from eyeline.models.load import load
from eyeline.models.several import Several

METHODS: dict[str, type[Any]] = {
    "occlusion": Occlusion,
    "gradient": Gradient,
    "gradientinput": GradientInput,
    "integratedgradients": IntegratedGradients,
    "expectedgradients": ExpectedGradients,
    "blurig": BlurIG,
    "guidedig": GuidedIG,
    "smoothgrad": SmoothGrad,
    "smoothgradsquared": SmoothGradSquared,
    "vargrad": VarGrad,
    "superpixels": Superpixels,
    "multiscale": MultiScale,
    "baselineagreement": BaselineAgreement,
    "pairs": Pairs,
    "rise": Rise,
    "guidedbackpropagation": GuidedBackpropagation,
    "deconvnet": Deconvnet,
    "gradcam": GradCAM,
    "gradcamplusplus": GradCAMPlusPlus,
    "hirescam": HiResCAM,
    "layercam": LayerCAM,
    "eigencam": EigenCAM,
    "scorecam": ScoreCAM,
    "guidedgradcam": GuidedGradCAM,
}
"""Name -> settings. A new method is one file and one row."""

__all__ = [
    "METHODS",
    "PRESETS",
    "BaselineAgreement",
    "BlurIG",
    "Deconvnet",
    "EigenCAM",
    "ExpectedGradients",
    "GradCAM",
    "GradCAMPlusPlus",
    "Gradient",
    "GradientInput",
    "GuidedBackpropagation",
    "GuidedGradCAM",
    "GuidedIG",
    "HiResCAM",
    "IntegratedGradients",
    "LayerCAM",
    "Method",
    "MultiScale",
    "Occlusion",
    "Pairs",
    "Rise",
    "ScoreCAM",
    "SmoothGrad",
    "SmoothGradSquared",
    "Superpixels",
    "VarGrad",
    "build",
    "explain",
    "known",
]


@overload
def explain(
    model: Several,
    images: object,
    method: str = "occlusion",
    target: object = None,
    *,
    preset: str | None = None,
    **settings: Any,
) -> tuple[Attribution, ...]: ...


@overload
def explain(
    model: object,
    images: object,
    method: str = "occlusion",
    target: object = None,
    *,
    preset: str | None = None,
    **settings: Any,
) -> Attribution: ...


def explain(
    model: object,
    images: object,
    method: str = "occlusion",
    target: object = None,
    *,
    preset: str | None = None,
    **settings: Any,
) -> Attribution | tuple[Attribution, ...]:
    """Make maps that show what the model looks at.

    Args:
        model: what `load` returned, or anything that `load` opens with its defaults.
        images: a path, a folder, a PIL image, an array (channels last), a tensor (channels first), or a list. Where
            the model is what `several` returned: a tuple of arrays, or a dict by the names of its inputs.
        method: a name of `eyeline methods`.
        target: None for the best class of each image, a class index or name, one per image, `Top(2)`,
            `Contrast(a, b)`, or a row of weights over the scores.
        preset: "captum", "xplique" or another tool: what that tool means by the method, see `PRESETS`.
        settings: the method's fields, for example window=56; they count before the preset's.

    Returns:
        Maps of shape (n, *space), float32, raw and signed, in the unit of the scores; of a model of several inputs, a
        tuple with one attribution for each.

    Raises:
        InputError: an unknown method, preset or setting (the nearest name is offered), images or a target that do
            not fit.
        UnsupportedError: the method needs gradients and the model has none.

    Examples:
        >>> import numpy as np, eyeline
        >>> model = eyeline.load(lambda images: images[:, :2, :2].mean(axis=(1, 2)), input_size=(4, 4))
        >>> image = np.ones((4, 4, 3), dtype=np.float32)
        >>> attribution = eyeline.explain(model, image, window=2, stride=2, baseline=eyeline.Constant(0))
        >>> attribution.maps[0, 0].tolist()
        [1.0, 1.0, 0.0, 0.0]
    """
    chosen = build(method, settings, preset)
    if isinstance(model, Several):
        return explain_inputs(chosen, model, images, target)
    return chosen(model if isinstance(model, Model) else load(model), images, target)


def build(method: str, settings: dict[str, Any], preset: str | None = None) -> Method:
    """Return the method's settings object; a preset's settings stand where others are not given.

    Raises:
        InputError: an unknown method, preset or setting.
    """
    known(method, settings)
    if preset is not None:
        settings = preset_settings(preset, method, settings)
    return METHODS[method](**settings)  # type: ignore[no-any-return]


def known(method: str, settings: Iterable[str]) -> None:
    """Check that the method exists, and that it has settings of these names.

    Raises:
        InputError: the nearest names are offered.
    """
    if not isinstance(method, str):
        raise InputError(
            f"method must be the name of one, but got {method!r}. Pass one of {', '.join(METHODS)} and its settings, "
            "or call the method itself: Occlusion(window=56)(model, images)."
        )
    if method not in METHODS:
        raise InputError(f"method must be one of {', '.join(METHODS)}, but got {method!r}. {nearest(method, METHODS)}")
    fields = [field.name for field in dataclasses.fields(METHODS[method])]
    for name in settings:
        if name not in fields:
            raise InputError(
                f"setting must be one of {', '.join(fields)} (method {method!r}), but got {name!r}. "
                + (inside(method, name) or nearest(name, fields))
            )


def inside(method: str, name: str) -> str:
    """Say how to pass a setting to the method that a method wraps; nothing where that has none of this name."""
    found = having(METHODS[method], name)
    if found is None:
        return ""
    kind = type(found).__name__
    spelled = f"inner={kind}({name}=...), in the command --inner {kind.lower()}:{name}=..."
    return f"It is one of the method inside: pass {spelled}"
