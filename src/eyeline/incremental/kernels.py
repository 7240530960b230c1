"""Chooses who computes the kernels: the native library where it was built, torch operations elsewhere."""

from types import ModuleType

import torch

from eyeline.incremental import torch_kernels
from eyeline.incremental.library import LibraryError


def kernels(device: torch.device | str = "cpu") -> ModuleType:
    """Return the module of kernels for a device; its NAME says which it is."""
    return torch_kernels if reason(device) else _native()


def reason(device: torch.device | str = "cpu") -> str:
    """Say why torch operations serve on a device, "" where the library does."""
    if torch.device(device).type != "cpu":
        return f"the native kernels run on the CPU alone, not on {device}"
    try:
        _native()
    except LibraryError as error:
        return str(error)
    return ""


def _native() -> ModuleType:
    from eyeline.incremental import native

    return native
