"""What a method may ask of a model. Capabilities are protocols; an adapter has those it can serve.

An adapter converts at its door: images come channels last in image space, float32; it applies the
preprocessing, the layout, the dtype and the device of its network, and gives scores back as float32.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from eyeline._typing import Images, Scores, Weigh
from eyeline.attribution import Unit
from eyeline.errors import Error, InputError, ModelError, OutOfMemoryError, UnsupportedError, first_line
from eyeline.image import FitMode
from eyeline.models.output import Kind, Output, Scale
from eyeline.preprocess import Preprocess

if TYPE_CHECKING:
    from eyeline.incremental.graph import Graph


@runtime_checkable
class Model(Protocol):
    """Scores of images.

    Attributes:
        input_size: pixels per spatial axis, or None where any size goes.
        axes: number of spatial axes, 1 to 3.
        channels: of an image, or None where any number goes.
        fit: how files and PIL images are brought to `input_size`.
        classes: names, or None where they are unknown.
    """

    input_size: tuple[int, ...] | None
    axes: int
    channels: int | None
    fit: FitMode
    classes: tuple[str, ...] | None

    @property
    def unit(self) -> Unit | None:
        """Unit of the scores, decided on the first ones; None before."""
        ...

    def scores(self, images: Images) -> Scores:
        """Return one row of scores per image, float32."""
        ...

    def describe(self) -> dict[str, str]:
        """Say what was assumed: framework and version, device, dtype, layout, preprocessing, output."""
        ...


@runtime_checkable
class Differentiable(Model, Protocol):
    """Gradients with respect to the pixels."""

    def gradient(self, images: Images, weigh: Weigh) -> tuple[Scores, Images]:
        """Return the scores and d(weigh(scores) . scores) / d(images), from one pass forward and one back.

        `weigh` is called once, with the scores; what it returns is held constant.
        """
        ...


@runtime_checkable
class Preparing(Differentiable, Protocol):
    """A model that can do something beforehand for a run of many passes."""

    def prepare(self, images: int) -> None:
        """Hear how many images the passes of a run will differentiate; numbers stay the same but for rounding."""
        ...


@runtime_checkable
class Traceable(Model, Protocol):
    """A network whose operations can be read, for the incremental engine."""

    def graph(self, shape: tuple[int, ...]) -> "Graph":
        """Return the network on one image of (rows, columns, channels), from image space to raw outputs.

        Raises:
            UnsupportedError: it cannot be read.
        """
        ...

    def convert(self, raw: Scores) -> Scores:
        """Turn raw outputs, (n, classes), into scores."""
        ...

    def fingerprint(self) -> str:
        """Say what `graph` was read from: another text whenever a weight or a layer has changed since."""
        ...

    def activations(self, images: Images, names: Collection[str]) -> dict[str, np.ndarray]:
        """Return what named layers make of whole images: (n, rows, columns, channels), or (n, features).

        The names are those of the graph's nodes; what is no layer of the network, or gives anything else, is left out.
        """
        ...


@dataclass(frozen=True)
class Options:
    """What `load` was told, resolved, for the adapters.

    Args:
        preprocess: image space -> model space.
        classes: names, or None.
        output: what the network's outputs are, or "auto".
        scores: what they are turned into.
        head: maps the network's raw output to (n, k) inside the framework.
        fit: how files are brought to the model's size.
        input_size: pixels per spatial axis where the model does not say; one int stands for every axis.
        device: where to run; None leaves the model where it is.
        trust: allow files that run code when they are opened.
        name: of the source, for messages and provenance.
        inputs: of a network of several, and their shapes, for messages; they go in as one row.
    """

    preprocess: Preprocess = Preprocess()
    classes: tuple[str, ...] | None = None
    output: Kind = "auto"
    scores: Scale = "raw"
    head: Callable[[Any], Any] | None = None
    fit: FitMode = "squash"
    input_size: int | tuple[int, ...] | None = None
    device: str | None = None
    trust: bool = False
    name: str = "model"
    inputs: str = ""

    def scaled(self) -> Output:
        """Return a fresh converter from raw outputs to scores."""
        return Output(self.output, self.scores)

    def size(self, axes: int = 2) -> tuple[int, ...] | None:
        """Return `input_size` with one int written out for the network's spatial axes; 2 where it does not say."""
        return (self.input_size,) * axes if isinstance(self.input_size, int) else self.input_size


@contextmanager
def running(options: Options, shape: tuple[int, ...]) -> Iterator[None]:
    """Turn what a network or its head raises into a ModelError, or an OutOfMemoryError where a smaller batch may do."""
    try:
        yield
    except Error:
        raise
    except Exception as error:
        first = first_line(error)
        if _out_of_memory(error):
            raise OutOfMemoryError(
                f"the batch must fit into memory, but {shape[0]} images of {shape[1:]} did not ({first}). "
                "Pass a smaller batch= or memory=."
            ) from error
        what, check = options.name, "the image's size and channels, input_size= and preprocess="
        given = f"images of shape {shape} (n, *space, channels)"
        if options.inputs:
            given, check = options.inputs, "that the inputs come in this order, in the shapes that the network wants"
        if options.head is not None:
            what, check = f"{what} with head=", f"head=, which gets the network's raw output, then {check}"
        raise ModelError(
            f"{what} must accept {given}, but it raised {type(error).__name__}: {first}. Check {check}."
        ) from error


def single(output: object, images: int | None) -> Any:
    """Find the one (n, classes) tensor in what a network returned.

    Dicts, tuples, lists and dataclasses are looked through when they hold exactly one 2-D tensor. A tensor of
    shape (n,) is one column; the caller reshapes it.

    Raises:
        UnsupportedError: a dense output, or none or several candidates; says to pass head=.
    """
    if hasattr(output, "shape"):
        shape = tuple(output.shape)
        if len(shape) in (1, 2) and shape[0] == images and shape[1:] != (0,):
            return output
        raise UnsupportedError(
            f"the model's output must be one row of scores per image, ({images}, classes), but got shape "
            f"{shape}. Pass head=, a function of that output that returns (n, k): for a segmentation "
            "model for example the mean over the region you ask about."
        )
    leaves = list(_leaves(output))
    fitting = [leaf for leaf in leaves if len(leaf.shape) == 2 and leaf.shape[0] == images]
    if len(fitting) == 1:
        return fitting[0]
    shapes, keys = [tuple(leaf.shape) for leaf in leaves], list(output) if isinstance(output, Mapping) else []
    picked = f"Pass head=, a function of that output: head=lambda output: output[{keys[0] if keys else 0!r}]"
    raise UnsupportedError(
        f"the model's output must hold exactly one (n, classes) tensor, but got {type(output).__name__}"
        f"{' of ' * bool(keys)}{', '.join(map(repr, keys))} with shapes {shapes}. "
        f"{picked if leaves else 'Let the network, or head=, return a tensor (n, k), without float() or .item()'}."
    )


def check_classes(classes: tuple[str, ...] | None, columns: int) -> None:
    """Check that there is one class name per column of the network's outputs.

    Raises:
        InputError: another number of names.
    """
    if classes is not None and len(classes) != columns == 1:
        raise InputError(
            f"classes must hold one name for a model of one output column, but got {len(classes)}: "
            f"{', '.join(map(repr, classes[:3]))}{', ...' if len(classes) > 3 else ''}. "
            f"Pass the name of the class that the column scores, for example classes=({classes[-1:][0]!r},)."
        )
    if classes is not None and len(classes) != columns:
        raise InputError(
            f"classes must hold one name per output of the model ({columns}), but got {len(classes)} "
            f"({', '.join(repr(name) for name in classes[:3])}, ...). Pass the list the model was trained with."
        )


def check_device(device: str, scope: Callable[[str], Any], zeros: Callable[[tuple[int, ...]], Any]) -> None:
    """Make a number on a device, so that one that is not here is not taken for a file that cannot be read."""
    try:
        with scope(device):
            zeros(())
    except Exception as error:
        raise InputError(
            f"device must be one that the backend can use here, but got {device!r} ({first_line(error, 160)}). "
            "Leave it out to run where the backend chooses."
        ) from error


def _leaves(output: object) -> Iterator[Any]:
    if hasattr(output, "shape"):
        yield output
    elif isinstance(output, Mapping):
        for value in output.values():
            yield from _leaves(value)
    elif isinstance(output, tuple | list):
        for value in output:
            yield from _leaves(value)
    elif dataclasses.is_dataclass(output):
        for part in dataclasses.fields(output):
            yield from _leaves(getattr(output, part.name))


def _out_of_memory(error: Exception) -> bool:
    words = (f"{type(error).__name__}: {error}").lower()
    signs = ("outofmemory", "out of memory", "resource_exhausted", "resourceexhausted", "memoryerror")
    return any(sign in words for sign in (*signs, "can't allocate memory", "not enough memory", "bad_alloc"))
