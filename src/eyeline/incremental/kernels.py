"""Chooses who computes the kernels: the native library where it was built, torch operations elsewhere."""

from types import ModuleType

import torch

from eyeline.incremental import torch_kernels


def kernels(device: torch.device | str = "cpu") -> ModuleType:
    """Return the module of kernels for a device; its NAME says which it is."""
    if torch.device(device).type != "cpu":
        return torch_kernels
    try:
        from eyeline.incremental import native
    except ImportError:
        return torch_kernels
    return native
