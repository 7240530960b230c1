"""Reads the graph of a PyTorch module for the incremental engine, through `torch.export`.

The graph is taken before decompositions, so that a layer is one operation.
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from eyeline.errors import first_line
from eyeline.incremental.graph import Graph
from eyeline.models.torch_checks import check_graph
from eyeline.models.torch_importer import CountedError, Entry, Importer
from eyeline.models.torch_values import refused

IMAGES = 13
"""How many are exported at first, a number not taken for channels: sizes that are plain numbers trace twice as fast."""


def capture(
    module: torch.nn.Module,
    size: tuple[int, int],
    channels: int,
    head: Callable[[Any], Any] | None = None,
    entry: Entry = None,
) -> Graph:
    """Return the graph of a module in evaluation mode that maps (n, channels, *size) to one row of scores an image.

    `entry` holds a factor and a summand per channel, which turn image space into the module's input.

    Raises:
        UnsupportedError: control flow that depends on the numbers, or another thing `torch.export` cannot follow.
    """
    check_graph(module)
    network = _Headed(module, head)
    network.training = False
    with contextlib.suppress(CountedError):
        return read(_export(network, (channels, *size), IMAGES), entry)
    return read(_export(network, (channels, *size), None), entry)


def read(program: torch.export.ExportedProgram, entry: Entry = None) -> Graph:
    """Return the graph of an exported program that maps images, channels first, to one row of scores an image.

    Raises:
        UnsupportedError: it writes into its parameters, or its images are of a fixed number that an operation knows.
    """
    check_graph(program)
    return Importer(program, entry).graph()


class _Headed(torch.nn.Module):  # type: ignore[misc]  # torch is untyped here
    def __init__(self, module: torch.nn.Module, head: Callable[[Any], Any] | None) -> None:
        super().__init__()
        self.module, self.head = module, head

    def forward(self, images: Tensor) -> Any:
        output = self.module(images)
        return self.head(output) if self.head else output


def _export(network: torch.nn.Module, shape: tuple[int, ...], images: int | None) -> torch.export.ExportedProgram:
    """Export for a number of images, or for any number."""
    given = torch.zeros(images or 2, *shape)
    sizes = None if images else ({0: torch.export.Dim.DYNAMIC},)
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # every failed attempt is written to the terminal, by loggers and by print
    try:
        with warnings.catch_warnings(), torch.no_grad(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            return torch.export.export(network, (given,), dynamic_shapes=sizes, strict=False)
    except Exception as error:  # whatever the network's own code raises under tracing
        said = first_line(error, 200)
        if "data-dependent" in said:
            said = f"a way that hangs on the numbers in the image, by if, while or int() in its forward ({said})"
        raise refused("be captured by torch.export", said) from error
    finally:
        logging.disable(before)
