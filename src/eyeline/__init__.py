"""eyeline shows what an image classifier looks at: exact occlusion and saliency maps.

    model = eyeline.load("model.keras")
    attribution = eyeline.explain(model, "cat.jpg")

Names are imported when they are first used; importing eyeline imports no framework and no matplotlib.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eyeline.attribution import Attribution as Attribution
    from eyeline.baseline import (
        Blur as Blur,
    )
    from eyeline.baseline import (
        Constant as Constant,
    )
    from eyeline.baseline import (
        Image as Image,
    )
    from eyeline.baseline import (
        Mean as Mean,
    )
    from eyeline.baseline import (
        Noise as Noise,
    )
    from eyeline.dataset import open_store as open_store
    from eyeline.dataset import run as run
    from eyeline.filling import Inpaint as Inpaint
    from eyeline.filling import LocalMean as LocalMean
    from eyeline.filling import SurroundingMean as SurroundingMean
    from eyeline.flip import flips as flips
    from eyeline.interaction import interactions as interactions
    from eyeline.mask import GaussianMask as GaussianMask
    from eyeline.mask import LinearMask as LinearMask
    from eyeline.mask import MonaiMask as MonaiMask
    from eyeline.methods import BaselineAgreement as BaselineAgreement
    from eyeline.methods import BlurIG as BlurIG
    from eyeline.methods import Deconvnet as Deconvnet
    from eyeline.methods import EigenCAM as EigenCAM
    from eyeline.methods import ExpectedGradients as ExpectedGradients
    from eyeline.methods import GradCAM as GradCAM
    from eyeline.methods import GradCAMPlusPlus as GradCAMPlusPlus
    from eyeline.methods import Gradient as Gradient
    from eyeline.methods import GradientInput as GradientInput
    from eyeline.methods import GuidedBackpropagation as GuidedBackpropagation
    from eyeline.methods import GuidedGradCAM as GuidedGradCAM
    from eyeline.methods import GuidedIG as GuidedIG
    from eyeline.methods import HiResCAM as HiResCAM
    from eyeline.methods import IntegratedGradients as IntegratedGradients
    from eyeline.methods import LayerCAM as LayerCAM
    from eyeline.methods import MultiScale as MultiScale
    from eyeline.methods import Occlusion as Occlusion
    from eyeline.methods import Pairs as Pairs
    from eyeline.methods import Rise as Rise
    from eyeline.methods import ScoreCAM as ScoreCAM
    from eyeline.methods import SmoothGrad as SmoothGrad
    from eyeline.methods import SmoothGradSquared as SmoothGradSquared
    from eyeline.methods import Superpixels as Superpixels
    from eyeline.methods import VarGrad as VarGrad
    from eyeline.methods import explain as explain
    from eyeline.metrics.check import check as check
    from eyeline.models.load import load as load
    from eyeline.models.several import several as several
    from eyeline.page import report as report
    from eyeline.page.notebook import view as view
    from eyeline.preprocess import Preprocess as Preprocess
    from eyeline.target import Class as Class
    from eyeline.target import Contrast as Contrast
    from eyeline.target import Top as Top
    from eyeline.target import Weights as Weights

_HOMES = {
    "attribution": ["Attribution"],
    "baseline": ["Blur", "Constant", "Image", "Mean", "Noise"],
    "dataset": ["open_store", "run"],
    "filling": ["Inpaint", "LocalMean", "SurroundingMean"],
    "flip": ["flips"],
    "interaction": ["interactions"],
    "mask": ["GaussianMask", "LinearMask", "MonaiMask"],
    "methods": [
        "BaselineAgreement", "BlurIG", "Deconvnet", "EigenCAM", "ExpectedGradients", "GradCAM", "GradCAMPlusPlus",
        "Gradient", "GradientInput", "GuidedBackpropagation", "GuidedGradCAM", "GuidedIG", "HiResCAM",
        "IntegratedGradients", "LayerCAM", "MultiScale", "Occlusion", "Pairs", "Rise", "ScoreCAM", "SmoothGrad",
        "SmoothGradSquared", "Superpixels", "VarGrad", "explain",
    ],
    "metrics.check": ["check"],
    "models.load": ["load"],
    "models.several": ["several"],
    "page": ["report"],
    "page.notebook": ["view"],
    "preprocess": ["Preprocess"],
    "target": ["Class", "Contrast", "Top", "Weights"],
}  # fmt: skip
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'eyeline' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"eyeline.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
