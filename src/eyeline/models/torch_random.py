"""PyTorch networks with weights drawn anew, on a copy."""

import copy

import numpy as np
import torch

from eyeline._typing import Images
from eyeline.errors import UnsupportedError, first_line
from eyeline.models.torch import TorchModel


def weighted(model: TorchModel, images: Images) -> tuple[str, ...]:
    """Name the modules that hold weights of their own, in the order in which they first run; see `randomised`.

    A module whose `forward` is not called (its holder reads its weights) follows the one before it in the module.
    """
    twin, known = copied(model)
    first: dict[str, int] = {}
    for name, module in known.items():
        _watch(module, name, first)
    twin.scores(images)
    last, places = -1, {}
    for name in known:
        last = places[name] = first.get(name, last)
    return tuple(sorted(known, key=lambda name: places[name]))


def copied(model: TorchModel) -> tuple[TorchModel, dict[str, torch.nn.Module]]:
    """Return the model on a copy of its network, and the copy's modules that hold weights.

    Raises:
        UnsupportedError: the network cannot be copied.
    """
    try:
        module = copy.deepcopy(model._module)
    except Exception as error:
        raise UnsupportedError(
            f"a network must let itself be copied to be randomised, but {model._options.name!r} does not "
            f"({first_line(error, 160)}). Leave the randomisation test out."
        ) from error
    twin = TorchModel(
        module, model._options, sizes=model._sizes, axes=model.axes, channels=model.channels, kind=model._kind
    )
    twin._output = model._output
    return twin, {name: each for name, each in module.named_modules() if _own(each)}


def redraw(module: torch.nn.Module, name: str, seed: int, place: int, draw: str) -> None:
    """Draw the weights of one module anew.

    Raises:
        UnsupportedError: draw="initial" and the module does not say how it starts.
    """
    if draw == "initial":
        if not hasattr(module, "reset_parameters"):
            raise UnsupportedError(
                f"a layer must have reset_parameters for draw='initial', but {name!r} ({type(module).__name__}) has "
                "none. Use draw='shuffle'."
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module.reset_parameters()
        return
    generator = np.random.default_rng((seed, place))
    with torch.no_grad():
        for tensor in _own(module):
            order = torch.from_numpy(generator.permutation(tensor.numel())).to(tensor.device)
            tensor.copy_(tensor.reshape(-1)[order].reshape(tensor.shape))


def _own(module: torch.nn.Module) -> list[torch.Tensor]:
    """Return the parameters of a module without those of its parts, and its buffers of floats where it has any."""
    parameters = [each for _, each in module.named_parameters(recurse=False)]
    buffers = [each for _, each in module.named_buffers(recurse=False) if each.is_floating_point() and each.numel() > 1]
    return parameters + buffers if parameters or hasattr(module, "reset_parameters") else []


def _watch(module: torch.nn.Module, name: str, first: dict[str, int]) -> None:
    """Note when the module first runs."""

    def note(*_: object) -> None:
        first.setdefault(name, len(first))

    module.register_forward_pre_hook(note)
