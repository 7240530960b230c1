"""The same work by everyone: the scores of an image with each of some boxes set to 0, as functions to be timed."""

import copy
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from eyeline.incremental.run import Engine
from eyeline.models.base import Model
from eyeline.window import Box, grid
from networks import network, pictures, side

PERTURBATIONS = (1, 4, 8, 16, 32)
"""Of Captum: images a forward pass, of which the best is searched."""

BATCH = 8
"""Of torch's dense passes."""

Run = Callable[[], Any]


@dataclass(frozen=True)
class Case:
    """A network, an image, and the windows that are moved over it.

    Args:
        module: gives logits of (n, 3, rows, columns).
        image: (1, rows, columns, 3), 0..1.
    """

    module: nn.Module
    image: np.ndarray
    window: int
    stride: int

    @cached_property
    def planes(self) -> Tensor:
        return planes(self.image)

    @cached_property
    def boxes(self) -> np.ndarray:
        """Every position."""
        return grid(self.image.shape[1:3], (self.window, self.window), (self.stride, self.stride))

    @cached_property
    def few(self) -> np.ndarray:
        """Places of positions spread over the grid, for those whose cost is the same at each."""
        count = round(len(self.boxes) ** 0.5)
        rows, columns = (np.linspace(0, count - 1, many).round().astype(int) for many in self.cells)
        return (rows[:, None] * count + columns).reshape(-1)

    @property
    def cells(self) -> tuple[int, int]:
        """How many rows and columns of positions are few."""
        return (8, 8) if self.image.shape[1] <= 64 else (8, 4)

    @property
    def tile(self) -> tuple[int, int]:
        """A window that makes as many positions as `few` where the stride must not exceed the window."""
        rows, columns = self.cells
        return -(-self.image.shape[1] // rows), -(-self.image.shape[2] // columns)

    @cached_property
    def probable(self) -> nn.Module:
        """The module with a softmax behind it."""
        return nn.Sequential(self.module, nn.Softmax(1)).eval()

    @cached_property
    def model(self) -> Model:
        """Eyeline's, which gives probabilities too."""
        import eyeline

        return eyeline.load(self.module, input_size=self.image.shape[1:3], output="logit", scores="probability")

    @property
    def shape(self) -> tuple[int, ...]:
        return self.image.shape[1:]


def case(name: str, window: int | None = None, stride: int | None = None) -> Case:
    """A network with the windows of the bars."""
    narrow = side(name) <= 64
    return Case(network(name), picture(name), window or (8 if narrow else 16), stride or (4 if narrow else 8))


def picture(name: str) -> np.ndarray:
    """A photograph for the network that was trained, random structure for the others."""
    if name != "EfficientNet-Lite0":
        return pictures(1, side(name), seed=1)
    import skimage.data
    from PIL import Image

    cat = Image.fromarray(skimage.data.chelsea()).resize((side(name), side(name)), Image.Resampling.BICUBIC)
    return np.float32(cat)[None] / 255


def planes(images: np.ndarray) -> Tensor:
    """Channels first, as torch has them."""
    return torch.from_numpy(np.moveaxis(images, -1, 1).copy())


def covered(image: Tensor, boxes: np.ndarray) -> Tensor:
    """Copies of (1, 3, rows, columns), in its memory layout, each with a box set to 0."""
    layout = torch.channels_last if image.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
    copies = image.expand(len(boxes), *image.shape[1:]).clone(memory_format=layout)
    for copied, box in zip(copies, boxes, strict=True):
        copied[(slice(None), *Box.of(box).slices)] = 0
    return copies


@torch.no_grad()
def batched(module: nn.Module, image: Tensor, boxes: np.ndarray, batch: int) -> Iterator[Tensor]:
    """Run the whole network, some positions at a time."""
    for start in range(0, len(boxes), batch):
        yield module(covered(image, boxes[start : start + batch]))


def loop(module: nn.Module, image: Tensor, boxes: np.ndarray) -> Tensor:
    """What one writes first: cover, run, note the scores."""
    return torch.cat(list(batched(module, image, boxes, 1)))


def folded(module: nn.Module) -> nn.Module:
    """A copy for dense passes: batch norm folded into convolutions, channels innermost in memory."""
    from torch.fx.experimental.optimization import fuse

    return fuse(copy.deepcopy(module)).to(memory_format=torch.channels_last)


def dense(module: nn.Module, image: Tensor, boxes: np.ndarray, batch: int = BATCH) -> Run:
    """Torch at its best: folded, channels last, batched."""
    quick, image = folded(module), image.contiguous(memory_format=torch.channels_last)
    return lambda: torch.cat(list(batched(quick, image, boxes, batch)))


def captum(
    module: nn.Module, image: Tensor, target: int, window: tuple[int, int], stride: tuple[int, int], many: int
) -> Tensor:
    """Captum's map of one class."""
    from captum.attr import Occlusion

    shape = {"sliding_window_shapes": (3, *window), "strides": (3, *stride)}
    return Occlusion(module).attribute(image, target=target, perturbations_per_eval=many, baselines=0, **shape)


def openvino(module: nn.Module, image: Tensor, boxes: np.ndarray, batch: int, precision: str | None = "f32") -> Run:
    """OpenVINO's dense pass in float32; `precision` None is its own choice, which may be bfloat16."""
    sys.modules["openvino_telemetry"] = None  # it would report every import and conversion; nothing here may
    import openvino

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracer
        converted = openvino.convert_model(
            module, example_input=image.expand(batch, -1, -1, -1), input=[batch, *image.shape[1:]]
        )
    settings = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "PERFORMANCE_HINT": "LATENCY"}
    if precision:
        settings["INFERENCE_PRECISION_HINT"] = precision
    request = openvino.Core().compile_model(converted, "CPU", settings).create_infer_request()

    def run() -> Tensor:
        parts = []
        for start in range(0, len(boxes), batch):
            images = covered(image, boxes[start : start + batch])
            parts.append(torch.from_numpy(request.infer([images.numpy()])[0].copy()))
        return torch.cat(parts)

    return run


def full(case: Case, batch: int) -> Run:
    """Eyeline's full path; its windows are wider, which costs the same."""
    import eyeline

    method = eyeline.Occlusion(
        window=case.tile, stride=case.tile, baseline=eyeline.Constant(0), engine="full", batch=batch
    )
    return lambda: method(case.model, case.image).sweep.scores[0]


def incremental(case: Case, engine: Engine, boxes: np.ndarray) -> Run:
    """The engine, made ready: clean pass, sweep, softmax, and one position run in full as a proof."""
    model: Any = case.model
    patch = np.zeros_like(case.image)

    def run() -> np.ndarray:
        scores = np.concatenate([model.convert(raw) for _, raw in engine.run(case.image, patch, boxes)])
        drawn = int(np.random.default_rng().integers(len(boxes)))
        proof = model.scores(covered(case.planes, boxes[[drawn]]).movedim(1, -1).numpy())[0]
        np.testing.assert_allclose(scores[drawn], proof, rtol=0, atol=1e-3 * np.ptp(scores, axis=0).max())
        return scores

    return run


def auto(case: Case) -> Callable[[], Any]:
    """What a user calls: everything that `engine="auto"` does, and the finished result."""
    import eyeline

    method = eyeline.Occlusion(window=case.window, stride=case.stride, baseline=eyeline.Constant(0))
    return lambda: method(case.model, case.image)
