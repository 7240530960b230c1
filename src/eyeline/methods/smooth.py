"""Noise around the image: the mean, the mean square or the variance of what any method finds there."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from eyeline.attribution import Attribution
from eyeline.methods.base import Method
from eyeline.methods.gradient import Gradient
from eyeline.methods.noise import Moments, Values, check, smoothed
from eyeline.models.base import Model

PLAIN = Gradient()

Root = Literal["none", "mean", "sum"]
"""What the squares become: their mean, its root, or the root of their sum over the number of samples."""


@dataclass(frozen=True)
class SmoothGrad:
    """Average what a method finds at noisy copies of the image: `mean over samples of a(x + noise)`.

    a is the inner method's signed map per channel; its channels are reduced after the mean, as it says. The target's
    weights are those of the clean image. Noise is Gaussian, the same for every image of a run, and leaves 0..1 where
    it must. As many times the cost of the inner method as there are samples. `provenance["standard_error"]` is the
    standard error of the mean as a share of the mean, both as root mean squares over the map.

    Args:
        inner: any method, with its settings; in the command as gradient:channels=sum,batch=4.
        samples: noisy copies of an image.
        noise: standard deviation, as a share of the image's largest value minus its smallest.
        relative: `noise` is that share; otherwise it is in pixel values.
        seed: of the noise (PCG64).
        magnitude: take the magnitude of each sample's numbers first.

    Raises:
        InputError: samples below 1, noise that is not positive, relative noise for an image of one value.
        Error: what the inner method raises; the sentence names image and sample.

    References:
        Smilkov, Thorat, Kim, Viégas, Wattenberg: SmoothGrad: removing noise by adding noise, arXiv:1706.03825, 2017,
        section 2.1.

    Examples:
        >>> import numpy as np, torch, eyeline
        >>> model = eyeline.load(torch.nn.Flatten(), input_size=(1, 2))  # score k is pixel k
        >>> image = np.float32([[[0.5], [1.0]]])
        >>> eyeline.SmoothGrad(samples=3)(model, image, target=1).maps.tolist()  # of a linear model: its gradient
        [[[0.0, 1.0]]]
    """

    inner: Method = PLAIN
    samples: int = 25
    noise: float = 0.15
    relative: bool = True
    seed: int = 0
    magnitude: bool = False

    def __post_init__(self) -> None:
        check(self)

    def __call__(self, model: Model, images: object, target: object = None) -> Attribution:
        return smoothed(self, model, images, target, lambda each: each.mean, "mean")


@dataclass(frozen=True)
class SmoothGradSquared:
    """Average the squares of what a method finds at noisy copies of the image: `mean over samples of a(x + noise)^2`.

    a is the inner method's map per channel; its channels are reduced after the mean. Signs are lost, large numbers
    count more. Weights, noise and cost as for SmoothGrad.

    Args:
        inner: any method, with its settings; in the command as gradient:channels=sum,batch=4.
        samples: noisy copies of an image.
        noise: standard deviation, as a share of the image's largest value minus its smallest.
        relative: `noise` is that share; otherwise it is in pixel values.
        seed: of the noise (PCG64).
        root: "none": the mean of the squares; "mean": its square root; "sum": the square root of their sum, divided by
            the number of samples, which falls as that grows.

    Raises:
        InputError: samples below 1, noise that is not positive, relative noise for an image of one value.
        Error: what the inner method raises; the sentence names image and sample.

    References:
        Hooker, Erhan, Kindermans, Kim: A Benchmark for Interpretability Methods in Deep Neural Networks, NeurIPS 2019,
        section 4.2.

    Examples:
        >>> import numpy as np, torch, eyeline
        >>> model = eyeline.load(torch.nn.Flatten(), input_size=(1, 2))  # score k is pixel k
        >>> image = np.float32([[[0.5], [1.0]]])
        >>> eyeline.SmoothGradSquared(samples=3)(model, image, target=1).maps.tolist()
        [[[0.0, 1.0]]]
    """

    inner: Method = PLAIN
    samples: int = 25
    noise: float = 0.15
    relative: bool = True
    seed: int = 0
    root: Root = "none"

    def __post_init__(self) -> None:
        check(self)

    def __call__(self, model: Model, images: object, target: object = None) -> Attribution:
        def pick(each: Moments) -> Values:
            if self.root == "none":
                return each.square
            return np.sqrt(each.square / (1 if self.root == "mean" else each.count))

        words = {"none": "mean square", "mean": "root mean square", "sum": "root of the sum of squares over the count"}
        return smoothed(self, model, images, target, pick, words[self.root])


@dataclass(frozen=True)
class VarGrad:
    """Measure how much what a method finds varies over noisy copies of the image: `E[a^2] - E[a]^2`, a = a(x + noise).

    a is the inner method's map per channel; its channels are reduced after the variance. 0 where a does not change
    with the noise, so for every linear model. With the same inner method, samples, noise and seed, the root of
    `map / (samples - 1)` is the standard error of SmoothGrad, pixel by pixel (channels=None). Weights, noise and cost
    as for SmoothGrad.

    Args:
        inner: any method, with its settings; in the command as gradient:channels=sum,batch=4.
        samples: noisy copies of an image, 2 or more.
        noise: standard deviation, as a share of the image's largest value minus its smallest.
        relative: `noise` is that share; otherwise it is in pixel values.
        seed: of the noise (PCG64).
        magnitude: take the magnitude of each sample's numbers first.
        unbiased: divide by samples - 1 rather than samples.

    Raises:
        InputError: samples below 2, noise that is not positive, relative noise for an image of one value.
        Error: what the inner method raises; the sentence names image and sample.

    References:
        Adebayo, Gilmer, Goodfellow, Kim: Local Explanation Methods for Deep Neural Networks Lack Sensitivity to
        Parameter Values, ICLR workshop 2018, section 2.

    Examples:
        >>> import numpy as np, torch, eyeline
        >>> model = eyeline.load(torch.nn.Flatten(), input_size=(1, 2))  # score k is pixel k
        >>> image = np.float32([[[0.5], [1.0]]])
        >>> eyeline.VarGrad(samples=3)(model, image, target=1).maps.tolist()  # a linear model has one gradient
        [[[0.0, 0.0]]]
    """

    inner: Method = PLAIN
    samples: int = 25
    noise: float = 0.15
    relative: bool = True
    seed: int = 0
    magnitude: bool = False
    unbiased: bool = False

    def __post_init__(self) -> None:
        check(self, least=2)

    def __call__(self, model: Model, images: object, target: object = None) -> Attribution:
        def pick(each: Moments) -> Values:
            return each.spread / (each.count - 1) if self.unbiased else each.variance

        return smoothed(self, model, images, target, pick, "unbiased variance" if self.unbiased else "variance")
