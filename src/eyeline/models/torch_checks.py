"""What a PyTorch module says of itself before it runs: device, dtype, axes, channels, and what it needs."""

import inspect
from typing import Any

import torch

from eyeline.errors import InputError, UnsupportedError, first_line
from eyeline.models.base import Options
from eyeline.models.torch_values import refused

CONVOLUTIONS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
NAMES = tuple(each.__name__ for each in CONVOLUTIONS)
PICTURE = 4  # a first convolution with more input channels than this may see what a forward made of the picture


def home(module: torch.nn.Module) -> tuple[torch.device, torch.dtype]:
    """Device and dtype of the first floating parameter or buffer."""
    for tensors in (module.parameters(), module.buffers()):
        for each in tensors:
            if each.is_floating_point():
                return each.device, each.dtype
    return torch.device("cpu"), torch.float32


def geometry(module: torch.nn.Module) -> tuple[int, int | None]:
    """Spatial axes and channels of an image, read off the first convolution (by shape where its type is lost).

    Any number of channels is believed of a chain that starts with the convolution. In other networks up to `PICTURE`
    are, unless a second convolution must see the image too: it may have been split. None: any number goes.
    """
    found = [each for each in module.modules() if _convolves(each)]
    if found:
        channels = int(found[0].in_channels)
        known = _head(module) is found[0] or (channels <= PICTURE and not _shared(found))
        return len(found[0].kernel_size), channels if known and channels > 0 else None
    for name, parameter in module.named_parameters():
        if name.endswith("weight") and 3 <= parameter.ndim <= 5:
            channels = int(parameter.shape[1])
            return parameter.ndim - 2, channels if channels <= PICTURE else None
    return 2, None


def _convolves(module: torch.nn.Module) -> bool:
    """Whether a module is a convolution, also one that was scripted."""
    scripted = getattr(module, "original_name", "") in NAMES and hasattr(module, "in_channels")
    return isinstance(module, CONVOLUTIONS) or scripted


def _head(module: torch.nn.Module) -> torch.nn.Module | None:
    """Return the layer of a chain that gets the image as it is."""
    layer: torch.nn.Module | None = module
    while isinstance(layer, torch.nn.Sequential) and type(layer).forward is torch.nn.Sequential.forward:
        layer = next((each for each in layer if not isinstance(each, torch.nn.Identity)), None)
    return layer


def _shared(found: list[Any]) -> bool:
    """Whether a later convolution takes as many channels as the first, and none before it gives so many."""
    first, *others = found
    given = {int(first.out_channels)}
    for each in others:
        alike = each.in_channels == first.in_channels and len(each.kernel_size) == len(first.kernel_size)
        if alike and each.in_channels not in given:
            return True
        given.add(int(each.out_channels))
    return False


def check(module: torch.nn.Module, options: Options) -> None:
    """Check that a network can be explained where it lies.

    Raises:
        UnsupportedError: `forward` needs more than the images; a BatchNorm without running statistics.
        InputError: `options.device` is not where the network lies.
    """
    needs = _required(module)
    if len(needs) > 1:
        raise UnsupportedError(
            f"the network's forward must need the images alone, but {options.name} needs {', '.join(needs)}. "
            "Wrap it in a torch.nn.Module whose forward takes the images and fills in the others, or explain all of "
            "them with eyeline.several."
        )
    for name, each in module.named_modules():
        if isinstance(each, torch.nn.modules.batchnorm._BatchNorm) and each.running_mean is None:
            raise UnsupportedError(
                f"BatchNorm layers must have running statistics, but {name!r} has none: an image's scores would "
                "depend on the images beside it. Build it with track_running_stats=True, or pass a function "
                "that runs one image at a time."
            )
    device, _ = home(module)
    try:
        asked = torch.device(options.device or device)
    except RuntimeError as error:
        raise InputError(f"device must be one that PyTorch knows, but got {options.device!r}. Leave it out.") from error
    if asked.type != device.type or asked.index not in (None, device.index):
        raise InputError(
            f"device must be where a live network lies, but got {options.device!r} and the network is on "
            f"{str(device)!r}. Move it yourself, network.to({options.device!r}), and leave device= out."
        )


def _required(module: torch.nn.Module) -> list[str]:
    """Names of the inputs that forward has no default for."""
    schema = getattr(module.forward, "schema", None)  # TorchScript
    if schema is not None:
        return [each.name for each in schema.arguments[1:] if not each.has_default_value()]
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(module.forward).parameters.values()
    return [each.name for each in parameters if each.default is each.empty and each.kind not in kinds]


def place(module: torch.nn.Module, device: str | None) -> torch.nn.Module:
    """Move a network that was read from a file, and is ours to move.

    Raises:
        InputError: no such device here.
    """
    try:
        return module.to(device or "cpu")
    except Exception as error:
        raise InputError(
            f"device must be one that PyTorch can use here, but got {device!r} ({first_line(error, 160)}). "
            "Leave it out to run on the CPU."
        ) from error


def cut(what: str, model: str) -> UnsupportedError:
    """Word that no derivative comes back."""
    return UnsupportedError(
        f"the scores must depend on {what} through differentiable operations, but {model} "
        "cuts the way (detach, no_grad, argmax or NumPy in forward or head). Remove the cut, or use "
        "method='occlusion', which needs scores only."
    )


def check_graph(holder: torch.nn.Module | torch.export.ExportedProgram, axes: int = 2) -> None:
    """Check what can be checked at once of a network whose graph is to be read.

    Raises:
        UnsupportedError: TorchScript, other numbers than float32, another device than the CPU, other axes than two.
    """
    if axes != 2:
        raise refused("take images of two axes", str(axes))
    if isinstance(holder, torch.jit.ScriptModule):
        raise refused("be a PyTorch module or an exported program", "TorchScript")
    for each in (*holder.parameters(), *holder.buffers()):
        if each.is_floating_point() and each.dtype != torch.float32:
            raise refused("be of float32 numbers", str(each.dtype).removeprefix("torch."))
        if each.device.type != "cpu":
            raise refused("lie on the CPU", str(each.device))
