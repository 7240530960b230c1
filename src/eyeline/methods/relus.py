"""The derivative with another rule at every ReLU: guided backpropagation, deconvnet, and Grad-CAM in fine grain."""

import time
from dataclasses import dataclass
from typing import Any

from eyeline._typing import Images, Scores, Weigh
from eyeline.attribution import Attribution
from eyeline.methods.base import enter
from eyeline.methods.cam import GradCAM
from eyeline.methods.channels import Channels
from eyeline.methods.checks import needs_rules
from eyeline.methods.derivatives import Explained
from eyeline.methods.gradient import at_the_image
from eyeline.models.base import Model
from eyeline.models.layered import Rule


@dataclass(frozen=True)
class GuidedBackpropagation:
    """Differentiate, but let only what is positive back through each ReLU: `max(g, 0)` where the ReLU was open, else 0.

    Shows what excites the features that speak for the target, sharp and nearly free of noise. It is no derivative of s:
    it changes little from class to class and depends little on the last layers' weights. Every ReLU counts, also ReLU6
    and other clipped ones. One forward and one backward pass.

    Args:
        channels: "max_abs": the largest magnitude over channels; "signed": the number of largest magnitude with its
            sign; "sum": the signed sum; "mean": the signed mean; "mean_abs": the mean magnitude; "sum_abs": the sum of
            magnitudes; "l2": the Euclidean norm; "abs": the magnitude of each channel, one map for each;
            None: one map per channel.
        batch: images a pass. None means measured within the memory budget.
        memory: budget in mebibytes that the process may grow by while a batch runs.

    Raises:
        UnsupportedError: the network has no ReLU, or other activations (SiLU, GELU) in the place of some.
        ModelError: scores or derivatives that are not finite.

    References:
        Springenberg, Dosovitskiy, Brox, Riedmiller: Striving for Simplicity: The All Convolutional Net, ICLR workshop
        2015, section 3.4.

    Examples:
        >>> import numpy as np, torch, eyeline
        >>> layers = torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
        >>> model = eyeline.load(torch.nn.Sequential(*layers), input_size=8)
        >>> image = np.random.default_rng(0).random((8, 8, 1), dtype=np.float32)
        >>> eyeline.GuidedBackpropagation(channels=None)(model, image).maps.shape
        (1, 8, 8, 1)
    """

    channels: Channels | None = "max_abs"
    batch: int | None = None
    memory: int = 1024

    def __call__(self, model: Model, images: object, target: object = None) -> Attribution:
        began = time.perf_counter()
        clean, found = by_rule(self, model, images, target, "guided")
        return clean.result(self, found, lambda unit: f"guided d {unit} / d pixel value", began)


@dataclass(frozen=True)
class Deconvnet:
    """Differentiate, but let through each ReLU what is positive, `max(g, 0)`, whether or not the ReLU was open.

    Goes back through max pooling as a derivative does. Brings out edges that features answer to; it depends on the
    image by the pooling alone. Every ReLU counts, also ReLU6 and other clipped ones. One forward and one backward pass.

    Args:
        channels: "max_abs": the largest magnitude over channels; "signed": the number of largest magnitude with its
            sign; "sum": the signed sum; "mean": the signed mean; "mean_abs": the mean magnitude; "sum_abs": the sum of
            magnitudes; "l2": the Euclidean norm; "abs": the magnitude of each channel, one map for each;
            None: one map per channel.
        batch: images a pass. None means measured within the memory budget.
        memory: budget in mebibytes that the process may grow by while a batch runs.

    Raises:
        UnsupportedError: the network has no ReLU, or other activations (SiLU, GELU) in the place of some.
        ModelError: scores or derivatives that are not finite.

    References:
        Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, ECCV 2014, section 2.1.

    Examples:
        >>> import numpy as np, torch, eyeline
        >>> layers = torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
        >>> model = eyeline.load(torch.nn.Sequential(*layers), input_size=8)
        >>> image = np.random.default_rng(0).random((8, 8, 1), dtype=np.float32)
        >>> eyeline.Deconvnet(channels=None)(model, image).maps.shape
        (1, 8, 8, 1)
    """

    channels: Channels | None = "max_abs"
    batch: int | None = None
    memory: int = 1024

    def __call__(self, model: Model, images: object, target: object = None) -> Attribution:
        began = time.perf_counter()
        clean, found = by_rule(self, model, images, target, "deconvnet")
        return clean.result(self, found, lambda unit: f"deconvnet d {unit} / d pixel value", began)


@dataclass(frozen=True)
class GuidedGradCAM:
    """Multiply guided backpropagation with the map of Grad-CAM, stretched over the image.

    The fine grain of the one where the other sees the target. Two passes forward and two back.

    Args:
        layer: of Grad-CAM, a name of eyeline layers. None means the last convolution, or what follows it at its size:
            its norm, its activation, the sum that it is part of.
        channels: "max_abs": the largest magnitude over channels; "signed": the number of largest magnitude with its
            sign; "sum": the signed sum; "mean": the signed mean; "mean_abs": the mean magnitude; "sum_abs": the sum of
            magnitudes; "l2": the Euclidean norm; "abs": the magnitude of each channel, one map for each;
            None: one map per channel.
        batch: images a pass. None means measured within the memory budget.
        memory: budget in mebibytes that the process may grow by while a batch runs.

    Raises:
        UnsupportedError: the network has no layers that can be seen into, no ReLU, or other activations.
        InputError: no such layer, or one without spatial axes; the nearest is offered.
        ModelError: scores or derivatives that are not finite.

    References:
        Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra: Grad-CAM, ICCV 2017, section 3.2.

    Examples:
        >>> import numpy as np, torch, eyeline
        >>> layers = torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
        >>> model = eyeline.load(torch.nn.Sequential(*layers), input_size=8)
        >>> image = np.random.default_rng(0).random((8, 8, 1), dtype=np.float32)
        >>> eyeline.GuidedGradCAM(channels=None)(model, image).maps.shape
        (1, 8, 8, 1)
    """

    layer: str | None = None
    channels: Channels | None = "max_abs"
    batch: int | None = None
    memory: int = 1024

    def __call__(self, model: Model, images: object, target: object = None) -> Attribution:
        began = time.perf_counter()
        given = enter(self, model, images)
        needs_rules(model, "guidedgradcam")
        coarse = GradCAM(self.layer, batch=self.batch, memory=self.memory)(model, given, target)
        clean, found = by_rule(self, model, given, target, "guided")
        return clean.result(
            self,
            found * coarse.maps[..., None],
            lambda unit: f"guided d {unit} / d pixel value times Grad-CAM",
            began,
            layer=coarse.provenance["layer"],
        )


def by_rule(method: Any, model: Model, images: object, target: object, rule: Rule) -> tuple[Explained, Images]:
    """Return what is explained, and its derivative with a rule at every ReLU."""
    given = enter(method, model, images)
    ruled = needs_rules(model, type(method).__name__.lower())

    def run(pixels: Images, weigh: Weigh) -> tuple[Scores, Images]:
        return ruled.ruled(pixels, weigh, rule)

    return at_the_image(method, model, given, target, run)
