"""Score-CAM: a layer's maps, each weighted by the score of the image that it lets through."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from eyeline._typing import Images, Scores
from eyeline.attribution import Attribution
from eyeline.baseline import Baseline
from eyeline.methods.base import enter, finite
from eyeline.methods.checks import BLACK, baseline_of
from eyeline.methods.derivatives import Explained, explained
from eyeline.methods.layermaps import attributed, enlarged, finite_at, layer_of
from eyeline.methods.noise import Held
from eyeline.methods.progress import progress
from eyeline.models.base import Model


@dataclass(frozen=True)
class ScoreCAM:
    """Weight each feature of a layer with the score of the image seen through it: `relu(sum over k of w_k * A_k)`.

    H_k is A_k stretched over the image and scaled to 0..1; C_k is s of the image where H_k is 1 and of the baseline
    where it is 0, minus s of the baseline; w is the softmax of C over all features. No derivative enters. As many
    passes forward as the layer has features: often a thousand.

    Args:
        layer: whose features are weighted, a name of eyeline layers. None means the last convolution, or what follows
            it at its size: its norm, its activation, the sum that it is part of.
        baseline: what is seen where a feature is lowest, in image space: 0, as in the paper.
        relu: set negative numbers to 0, as in the paper.
        batch: images a pass. None means measured within the memory budget.
        memory: budget in mebibytes that the process may grow by while a batch runs.

    Raises:
        UnsupportedError: the model has no layers that can be seen into.
        InputError: no such layer, or one without spatial axes; the nearest is offered. A baseline that does not fit.
        ModelError: scores that are not finite; the sentence names image and feature.

    References:
        Wang, Wang, Du, Yang, Zhang, Ding, Mardziel, Hu: Score-CAM, CVPR workshops 2020, equations 5 to 8, algorithm 1.

    Examples:
        >>> import numpy as np, torch, eyeline
        >>> layers = torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
        >>> model = eyeline.load(torch.nn.Sequential(*layers), input_size=8)
        >>> image = np.random.default_rng(0).random((8, 8, 1), dtype=np.float32)
        >>> found = eyeline.ScoreCAM()(model, image)
        >>> found.maps.shape, bool(found.maps.min() >= 0)
        ((1, 8, 8), True)
    """

    layer: str | None = None
    baseline: Baseline = BLACK
    relu: bool = True
    batch: int | None = None
    memory: int = 1024

    def __call__(self, model: Model, images: object, target: object = None) -> Attribution:
        began = time.perf_counter()
        given = enter(self, model, images)
        layered, layer = layer_of(self, model, given.images)
        assert layer.shape is not None
        clean = explained(self, model, given, target, layer.shape[-1])
        ground = baseline_of(self.baseline, given.images)
        without = clean.values(ground, "the baseline")
        found = []
        with progress(len(given.images) * layer.shape[-1], "scorecam") as advance:
            for image, pixels in enumerate(given.images):
                rows = clean.weights[image : image + 1]
                _, activations, _ = layered.layer(pixels[None], Held(rows), layer.name)
                features = finite_at(layer, activations)[0]
                gains = _through(clean, image, ground[image], features, advance) - without[image]
                found.append(features @ _softmax(gains))
        return attributed(
            self, clean, layer, np.stack(found), lambda unit: f"activations weighted by the {unit} through them", began
        )


def _through(
    clean: Explained, image: int, ground: Images, activations: np.ndarray, advance: Callable[[int], None]
) -> Float64[np.ndarray, "features"]:
    """Return s of one image seen through each feature of its layer."""
    pixels, weights, name = clean.given.images[image], clean.weights[image], clean.given.names[image]
    maps = np.moveaxis(activations, -1, 0)

    def call(start: int, stop: int) -> Scores:
        masks = enlarged(maps[start:stop], pixels.shape[:-1])
        flat = masks.reshape(len(masks), -1)
        low, span = flat.min(axis=1), np.ptp(flat, axis=1)
        flat = (flat - low[:, None]) / np.where(span > 0, span, 1)[:, None]
        seen = ground + flat.reshape(*masks.shape, 1) * (pixels - ground)
        return finite(clean.model.scores(seen), lambda row: f"{name!r} through feature {start + row}")

    found = []
    for start, stop, scores in clean.batches.run(len(maps), call):
        found.append(scores)
        advance(stop - start)
    return np.asarray(np.concatenate(found).astype(np.float64) @ weights)


def _softmax(gains: Float64[np.ndarray, "features"]) -> Float64[np.ndarray, "features"]:
    powers = np.exp(gains - gains.max())
    return np.asarray(powers / powers.sum())
