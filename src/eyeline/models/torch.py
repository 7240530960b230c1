"""PyTorch modules: live ones, TorchScript and exported programs. The network is left as it was found."""

from collections.abc import Callable, Collection
from functools import partial
from typing import TypeVar, final

import numpy as np
import torch

from eyeline._typing import Images, Scores, Weigh
from eyeline.attribution import Unit
from eyeline.incremental.graph import Graph
from eyeline.models import torch_foresight, torch_rules, torch_state
from eyeline.models.base import Options, check_classes, running
from eyeline.models.layered import Layer, Rule, Values, choose
from eyeline.models.torch_checks import check, check_graph, cut, geometry, home
from eyeline.models.torch_layers import Listed, listed, opened
from eyeline.models.torch_layout import outermost
from eyeline.models.torch_mode import Modules, evaluating, modules, recording, rows
from eyeline.models.torch_twin import Twins

T = TypeVar("T")
MANY = 16
"""Images from which on a twin of the network saves more than it takes to make."""


@final
class TorchModel:
    """A module that maps (n, channels, *space) to scores; runs in evaluation mode, in its own dtype and device.

    After every call, also one that failed, each submodule's mode, `requires_grad`, `.grad`, buffers and hooks are
    as before. The cpu is what the tests run on; cuda and mps go the same way but were not tested.

    Args:
        module: the network.
        options: what `load` was told. `input_size`, where it is a tuple, also says how many spatial axes there are.
        sizes: smallest and largest batch that the network takes; exported programs may be fixed.
        axes, channels: of an image, where the caller knows better than the first convolution.
        kind: what the network is, for `describe`.
        program: that the module came from, where its graph can be read as it is.

    Raises:
        UnsupportedError: `forward` needs more than the images; a BatchNorm without running statistics.
        InputError: `device` is not where the network lies.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        options: Options,
        *,
        sizes: tuple[int, int | None] = (1, None),
        axes: int | None = None,
        channels: int | None = None,
        kind: str = "module",
        program: torch.export.ExportedProgram | None = None,
    ) -> None:
        check(module, options)
        found, first = geometry(module)
        self._module, self._options, self._sizes, self._kind = module, options, sizes, kind
        self._program = program
        self._output = options.scaled()
        self._twins, self._hurry, self._contiguous = Twins(module), False, False
        self._seen: tuple[tuple[int, ...], Modules, Listed] | None = None
        self.axes = axes or (len(options.input_size) if isinstance(options.input_size, tuple) else found)
        self.input_size = options.size(self.axes)
        self.channels: int | None = channels or first
        self.fit = options.fit
        self.classes = options.classes

    @property
    def unit(self) -> Unit | None:
        """Unit of the scores."""
        return self._output.unit

    def scores(self, images: Images) -> Scores:
        """Return one row of scores per image.

        Raises:
            ModelError: the network refused the images.
            UnsupportedError: its output is not one row per image.
        """
        # Not inference_mode: what a network caches in its first forward could never be used for a gradient.
        with running(self._options, images.shape), torch.no_grad(), evaluating(self._module):
            leaf = self._leaf(images)
            raw = self._flexible(lambda: self._raw(leaf))
        check_classes(self.classes, raw.shape[1])
        return self._output.convert(raw.cpu().double().numpy())

    def gradient(self, images: Images, weigh: Weigh) -> tuple[Scores, Images]:
        """Return the scores and the gradient in image space, from one pass forward and one back.

        Raises:
            UnsupportedError: no derivative reaches the image.
        """
        return self._pixels(images, weigh, lambda raw: None, twin=self._hurry)

    def prepare(self, images: int) -> None:
        """Hear how many images a run will differentiate: for many, a twin of the network runs, see `torch_twin`."""
        self._hurry = images >= MANY

    def ruled(self, images: Images, weigh: Weigh, rule: Rule) -> tuple[Scores, Images]:
        """Return what `gradient` returns, with `rule` at every ReLU, or raise what `torch_rules.exchange` does."""
        with torch_rules.visible():
            return self._pixels(images, weigh, lambda raw: torch_rules.exchange(raw, rule, self._options.name))

    def layers(self, shape: tuple[int, ...]) -> tuple[Layer, ...]:
        """List the modules that run for an image of (*space, channels), in the order in which they end."""
        return tuple(layer for layer, _ in self._listed(shape).values())

    def layer(self, images: Images, weigh: Weigh, name: str) -> tuple[Scores, Values, Values]:
        """Return the scores, what a module gives, and the derivatives with respect to that.

        Raises:
            UnsupportedError: no derivative comes back to the module.
        """
        known = self._listed(images.shape[1:])
        choose([layer for layer, _ in known.values()], name, self._options.name)
        _, first = known[name]
        with recording(self._module):
            with running(self._options, images.shape), opened(self._module.get_submodule(name)) as leaves:
                entered = self._leaf(images)
                raw = self._flexible(lambda: self._raw(entered))
            scores, gradients = self._pull(raw, leaves[-1], weigh, images.shape, f"what layer {name!r} gives")
        found = (each.movedim(1, -1) if first else each for each in (leaves[-1].detach(), gradients))
        activations, derivatives = (each.cpu().float().numpy() for each in found)
        return scores, activations, derivatives

    def graph(self, shape: tuple[int, ...]) -> Graph:
        """Return the network on one image of (rows, columns, channels), from image space to raw outputs.

        Raises:
            UnsupportedError: it cannot be read: see `torch_graph.capture`.
        """
        from eyeline.models.torch_graph import capture, read

        check_graph(self._module, len(shape) - 1)
        rows, columns, channels = shape
        entry = self._options.preprocess.affine(channels)
        if self._program is not None:
            return read(self._program, entry)
        with evaluating(self._module):
            return capture(self._module, (rows, columns), channels, self._options.head, entry)

    def fingerprint(self) -> str:
        """Say what `graph` was read from: another text whenever a weight or a layer has changed since."""
        return torch_state.fingerprint(self._module)

    def activations(self, images: Images, names: Collection[str]) -> dict[str, np.ndarray]:
        """Return what named layers make of whole images: (n, rows, columns, channels), or (n, features).

        Layers that hold others, run more than once, or give anything else are left out.
        """
        with running(self._options, images.shape), torch.no_grad(), evaluating(self._module):
            leaf = self._leaf(images)
            return self._flexible(
                lambda: torch_state.activations(self._module, lambda: self._raw(leaf), len(images), names)
            )

    def setup(self, shape: tuple[int, ...]) -> float:
        """Foresee the seconds that reading the network and laying out its weights take.

        Raises:
            UnsupportedError: it is plain that there is no graph: see `torch_checks.check_graph`.
        """
        check_graph(self._module, len(shape) - 1)
        return torch_foresight.setup(self._module, self._program is not None)

    def share(self, ground: Images, covered: Images) -> float:
        """Estimate which share of the multiply-adds sees another input in one image than in the other, from a run.

        1 where it cannot be told, or where the network's way depends on its numbers and no graph can be read.
        """
        both = np.concatenate([ground[:1], covered[:1]])
        with running(self._options, both.shape), torch.no_grad(), evaluating(self._module):
            leaf = self._leaf(both)
            return self._flexible(lambda: torch_foresight.share(self._module, lambda: self._raw(leaf)))

    def convert(self, raw: Scores) -> Scores:
        """Turn raw outputs into scores."""
        return self._output.convert(raw)

    def describe(self) -> dict[str, str]:
        """Say what was assumed."""
        device, dtype = home(self._module)
        return {
            "framework": f"PyTorch {torch.__version__} ({self._kind})",
            "name": self._options.name,
            "device": str(device),
            "dtype": str(dtype).removeprefix("torch."),
            "layout": "channels first",
            "preprocess": str(self._options.preprocess),
            "output": self._output.describe(),
        }

    def _pixels(
        self, images: Images, weigh: Weigh, prepare: Callable[[torch.Tensor], None], twin: bool = False
    ) -> tuple[Scores, Images]:
        """Return the scores and the gradient; `prepare` gets the raw outputs before the pass back."""
        with recording(self._module):
            with running(self._options, images.shape):
                leaf = self._leaf(images).requires_grad_()
                raw = self._flexible(
                    lambda: self._raw(leaf, self._twins.now(partial(self._raw, leaf[:1])) if twin else None)
                )
            prepare(raw)
            scores, found = self._pull(raw, leaf, weigh, images.shape, "the image")
        return scores, self._options.preprocess.pull(found.cpu().float().numpy())

    def _pull(
        self, raw: torch.Tensor, leaf: torch.Tensor, weigh: Weigh, shape: tuple[int, ...], what: str
    ) -> tuple[Scores, torch.Tensor]:
        """Weigh the scores and go back to a leaf."""
        check_classes(self.classes, raw.shape[1])
        scores, weights = self._output.pull(raw.detach().cpu().double().numpy(), weigh)
        with running(self._options, shape):
            pulled = torch.tensor(weights, dtype=raw.dtype, device=raw.device)
            found = torch.autograd.grad(raw, leaf, pulled, allow_unused=True)[0] if raw.requires_grad else None
        if found is None:
            raise cut(what, self._options.name)
        return scores, found

    def _listed(self, shape: tuple[int, ...]) -> Listed:
        """Run the network on a black image, but not again while it has the same modules."""
        if (seen := self._seen) is None or seen[0] != shape or any(each._modules != held for each, held in seen[1]):
            with running(self._options, (1, *shape)), torch.no_grad(), evaluating(self._module):
                leaf = self._leaf(np.zeros((1, *shape), dtype=np.float32))
                run = partial(listed, self._module, lambda: self._raw(leaf), self.axes, self._options.name)
                found = self._flexible(run)
            self._seen = seen = shape, modules(self._module), found
        return seen[2]

    def _leaf(self, images: Images) -> torch.Tensor:
        device, dtype = home(self._module)
        return torch.from_numpy(np.ascontiguousarray(self._options.preprocess(images))).to(device, dtype)

    def _raw(self, leaf: torch.Tensor, module: torch.nn.Module | None = None) -> torch.Tensor:
        """Run the network, or its twin."""
        with outermost(network := module or self._module):
            return rows(network, leaf, self._sizes, self._options.head, self._contiguous)

    def _flexible(self, run: Callable[[], T]) -> T:
        """Run with channels innermost in memory, fastest for a batch; a network that calls .view() may refuse that."""
        try:
            return run()
        except RuntimeError as error:
            if self._contiguous or "view size is not compatible" not in str(error):
                raise
            self._contiguous = True
            return run()
