"""Class activation maps by the derivative: the maps of one layer, each weighted by how the score goes with it.

A is what the layer gives, A_k(p) its feature k at position p, g = ds/dA the derivative of the explained scalar.
"""

from dataclasses import dataclass

import numpy as np

from eyeline.attribution import Attribution
from eyeline.methods.layermaps import explained_at, rectified, spatial
from eyeline.models.base import Model
from eyeline.models.layered import Values


@dataclass(frozen=True)
class GradCAM:
    """Weight each feature of a layer with the mean of its derivatives: `relu(sum over k of mean over p of g_k * A_k)`.

    One pass forward, and one back to the layer. The map has the layer's few positions, stretched linearly over the
    image. Where a mean over positions and a linear layer follow, it is CAM, the class's own weights times the features,
    over the number of positions.

    Args:
        layer: whose maps are weighted, a name of eyeline layers. None means the last convolution, or what follows it
            at its size: its norm, its activation, the sum that it is part of.
        relu: set what speaks against the target to 0, as in the paper; otherwise it stays, negative.
        batch: images a pass. None means measured within the memory budget.
        memory: budget in mebibytes that the process may grow by while a batch runs.

    Raises:
        UnsupportedError: the model has no layers that can be seen into.
        InputError: no such layer, or one without spatial axes; the nearest is offered.
        ModelError: scores or derivatives that are not finite.

    References:
        Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra: Grad-CAM, ICCV 2017, equations 1 and 2.

    Examples:
        >>> import numpy as np, torch, eyeline
        >>> layers = torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
        >>> model = eyeline.load(torch.nn.Sequential(*layers), input_size=8)
        >>> image = np.random.default_rng(0).random((8, 8, 1), dtype=np.float32)
        >>> found = eyeline.GradCAM()(model, image)
        >>> found.maps.shape, bool(found.maps.min() >= 0)
        ((1, 8, 8), True)
    """

    layer: str | None = None
    relu: bool = True
    batch: int | None = None
    memory: int = 1024

    def __call__(self, model: Model, images: object, target: object = None) -> Attribution:
        def combine(activations: Values, gradients: Values) -> np.ndarray:
            means = gradients.mean(axis=spatial(gradients), dtype=np.float64)
            return np.asarray(np.einsum("n...k,nk->n...", activations, means))

        return explained_at(
            self, model, images, target, combine, lambda unit: f"activations times their mean d {unit} / d activation"
        )


@dataclass(frozen=True)
class GradCAMPlusPlus:
    """Weight each feature with its positive derivatives, each by a share of its own: `relu(sum over k of w_k * A_k)`.

    `w_k = sum over p of a_k(p) * relu(g_k(p))`, `a_k(p) = 1 / (2 + g_k(p) * sum over q of A_k(q))`: positions where
    little is active count as much as those where much is, so that several small objects do not vanish beside a
    large one. This is the paper's closed form for exp(s); its factor exp(s), the same for a whole map, is left out.
    It supposes activations of 0 or more: take a layer behind a ReLU. Cost as for Grad-CAM.

    Args:
        layer: whose maps are weighted, a name of eyeline layers. None means the last convolution, or what follows it
            at its size: its norm, its activation, the sum that it is part of.
        relu: set what speaks against the target to 0, as in the paper; otherwise it stays, negative.
        batch: images a pass. None means measured within the memory budget.
        memory: budget in mebibytes that the process may grow by while a batch runs.

    Raises:
        UnsupportedError: the model has no layers that can be seen into.
        InputError: no such layer, or one without spatial axes; the nearest is offered.
        ModelError: scores or derivatives that are not finite.

    References:
        Chattopadhay, Sarkar, Howlader, Balasubramanian: Grad-CAM++, WACV 2018, equations 5, 6 and 19.

    Examples:
        >>> import numpy as np, torch, eyeline
        >>> layers = torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
        >>> model = eyeline.load(torch.nn.Sequential(*layers), input_size=8)
        >>> image = np.random.default_rng(0).random((8, 8, 1), dtype=np.float32)
        >>> found = eyeline.GradCAMPlusPlus()(model, image)
        >>> found.maps.shape, bool(found.maps.min() >= 0)
        ((1, 8, 8), True)
    """

    layer: str | None = None
    relu: bool = True
    batch: int | None = None
    memory: int = 1024

    def __call__(self, model: Model, images: object, target: object = None) -> Attribution:
        def combine(activations: Values, gradients: Values) -> np.ndarray:
            axes, wide = spatial(gradients), gradients.astype(np.float64)
            below = 2 + wide * activations.sum(axis=axes, keepdims=True, dtype=np.float64)
            shares = np.divide(rectified(wide), below, out=np.zeros_like(wide), where=below != 0)
            return np.asarray(np.einsum("n...k,nk->n...", activations, shares.sum(axis=axes)))

        return explained_at(
            self, model, images, target, combine, lambda unit: f"activations weighted by shares of d {unit}"
        )


@dataclass(frozen=True)
class HiResCAM:
    """Multiply what a layer gives with its own derivatives: `sum over k of g_k * A_k`, position by position.

    Nothing is averaged, so that no position lights up whose derivatives are 0. Where what follows the layer is linear,
    the numbers of its positions sum to s but for the bias. Cost as for Grad-CAM, which it equals where a mean over
    positions and a linear layer follow.

    Args:
        layer: whose maps are weighted, a name of eyeline layers. None means the last convolution, or what follows it
            at its size: its norm, its activation, the sum that it is part of.
        relu: set what speaks against the target to 0; the paper leaves it, negative.
        batch: images a pass. None means measured within the memory budget.
        memory: budget in mebibytes that the process may grow by while a batch runs.

    Raises:
        UnsupportedError: the model has no layers that can be seen into.
        InputError: no such layer, or one without spatial axes; the nearest is offered.
        ModelError: scores or derivatives that are not finite.

    References:
        Draelos, Carin: Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural networks,
        arXiv:2011.08891, 2020, section 3.

    Examples:
        >>> import numpy as np, torch, eyeline
        >>> layers = torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
        >>> model = eyeline.load(torch.nn.Sequential(*layers), input_size=8)
        >>> image = np.random.default_rng(0).random((8, 8, 1), dtype=np.float32)
        >>> found = eyeline.HiResCAM()(model, image)
        >>> found.maps.shape, bool(found.maps.min() >= 0)
        ((1, 8, 8), True)
    """

    layer: str | None = None
    relu: bool = False
    batch: int | None = None
    memory: int = 1024

    def __call__(self, model: Model, images: object, target: object = None) -> Attribution:
        def combine(activations: Values, gradients: Values) -> np.ndarray:
            return np.asarray(np.einsum("n...k,n...k->n...", activations, gradients, dtype=np.float64))

        return explained_at(
            self, model, images, target, combine, lambda unit: f"activations times their d {unit} / d activation"
        )


@dataclass(frozen=True)
class LayerCAM:
    """Multiply what a layer gives with its positive derivatives: `relu(sum over k of relu(g_k) * A_k)`.

    Sharp also for layers well before the last, whose features mean something else from place to place. Cost as for
    Grad-CAM.

    Args:
        layer: whose maps are weighted, a name of eyeline layers. None means the last convolution, or what follows it
            at its size: its norm, its activation, the sum that it is part of.
        relu: set what is negative in the end to 0, as in the paper.
        batch: images a pass. None means measured within the memory budget.
        memory: budget in mebibytes that the process may grow by while a batch runs.

    Raises:
        UnsupportedError: the model has no layers that can be seen into.
        InputError: no such layer, or one without spatial axes; the nearest is offered.
        ModelError: scores or derivatives that are not finite.

    References:
        Jiang, Zhang, Hou, Cheng, Wei: LayerCAM, IEEE Transactions on Image Processing 30, 2021, equations 5 to 7.

    Examples:
        >>> import numpy as np, torch, eyeline
        >>> layers = torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
        >>> model = eyeline.load(torch.nn.Sequential(*layers), input_size=8)
        >>> image = np.random.default_rng(0).random((8, 8, 1), dtype=np.float32)
        >>> found = eyeline.LayerCAM()(model, image)
        >>> found.maps.shape, bool(found.maps.min() >= 0)
        ((1, 8, 8), True)
    """

    layer: str | None = None
    relu: bool = True
    batch: int | None = None
    memory: int = 1024

    def __call__(self, model: Model, images: object, target: object = None) -> Attribution:
        def combine(activations: Values, gradients: Values) -> np.ndarray:
            return np.asarray(np.einsum("n...k,n...k->n...", activations, rectified(gradients), dtype=np.float64))

        return explained_at(
            self, model, images, target, combine, lambda unit: f"activations times their positive d {unit}"
        )
