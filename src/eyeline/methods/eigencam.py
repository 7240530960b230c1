"""Eigen-CAM: what most of a layer's activity is about, whatever the class."""

from dataclasses import dataclass

import numpy as np

from eyeline.attribution import Attribution
from eyeline.methods.layermaps import explained_at
from eyeline.models.base import Model
from eyeline.models.layered import Values


@dataclass(frozen=True)
class EigenCAM:
    """Project what a layer gives on its first principal component: `A v`, v the first right singular vector of A.

    A has one row per position and one column per feature, not centred. No target enters: the map is the same for every
    class, it says where the network sees something, not what. Of v and -v the one is taken for which the map's sum is
    not negative; behind a ReLU no number is then negative.

    Args:
        layer: whose features are projected, a name of eyeline layers. None means the last convolution, or what follows
            it at its size: its norm, its activation, the sum that it is part of.
        relu: set negative numbers to 0; the paper leaves them.
        batch: images a pass. None means measured within the memory budget.
        memory: budget in mebibytes that the process may grow by while a batch runs.

    Raises:
        UnsupportedError: the model has no layers that can be seen into.
        InputError: no such layer, or one without spatial axes; the nearest is offered.
        ModelError: scores or activations that are not finite.

    References:
        Muhammad, Yeasin: Eigen-CAM: Class Activation Map using Principal Components, IJCNN 2020, section III.

    Examples:
        >>> import numpy as np, torch, eyeline
        >>> layers = torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
        >>> model = eyeline.load(torch.nn.Sequential(*layers), input_size=8)
        >>> image = np.random.default_rng(0).random((8, 8, 1), dtype=np.float32)
        >>> eyeline.EigenCAM()(model, image).maps.shape
        (1, 8, 8)
    """

    layer: str | None = None
    relu: bool = False
    batch: int | None = None
    memory: int = 1024

    def __call__(self, model: Model, images: object, target: object = None) -> Attribution:
        def combine(activations: Values, gradients: Values) -> np.ndarray:
            return np.stack([_projected(each) for each in activations])

        return explained_at(
            self, model, images, target, combine, lambda unit: "activations along their first principal component"
        )


def _projected(activations: np.ndarray) -> np.ndarray:
    """Return A v from the smaller of A A^T and A^T A, as positions of the layer."""
    rows = activations.reshape(-1, activations.shape[-1]).astype(np.float64)
    wide = rows.shape[0] < rows.shape[1]
    sizes, vectors = np.linalg.eigh(rows @ rows.T if wide else rows.T @ rows)
    found = vectors[:, -1] * np.sqrt(max(sizes[-1], 0)) if wide else rows @ vectors[:, -1]
    return np.asarray(np.where(found.sum() < 0, -found, found)).reshape(activations.shape[:-1])
