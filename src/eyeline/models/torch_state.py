"""What a PyTorch module is made of, and what its layers give: its state in one text, and hooks that see outputs."""

import hashlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

WORDS = 1024
"""Of eight bytes: a row of this many is summed with odd factors, so that changes and exchanges do not cancel."""

PLAIN = {bool, int, float, str, type(None)}
See = Callable[[str, torch.nn.Module, Any], None]


def fingerprint(module: torch.nn.Module) -> str:
    """Say what the module is: its layers with their settings, and the bits of every tensor they hold.

    Modes are left out. Reading the bits takes about as long as copying them.
    """
    digest = hashlib.blake2b(digest_size=16)
    factors = np.random.default_rng(0).integers(2**63, size=WORDS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    for name, each in module.named_modules(remove_duplicate=False):
        digest.update(f"{name}\0{type(each)}\0{getattr(each, 'code', '')}\0{sorted(_hooks(each))}\0".encode())
        own = {key: value for key, value in vars(each).items() if key != "training"}
        for key, value in (own | dict(each._parameters) | dict(each._buffers)).items():
            if type(value) in PLAIN or (type(value) is tuple and all(type(one) in PLAIN for one in value)):
                digest.update(f"{key}\0{value!r}\0".encode())
            elif type(value) is not dict and isinstance(value, torch.Tensor):
                digest.update(f"{key}\0{value.dtype}\0{tuple(value.shape)}\0{value.device}\0".encode())
                _sum(digest, value, factors)
    return digest.hexdigest()


def _hooks(module: torch.nn.Module) -> Iterator[int]:
    """Yield what stands in for `forward`, or changes what it gets and gives."""
    yield from (id(each) for each in (*module._forward_pre_hooks.values(), *module._forward_hooks.values()))
    if "forward" in vars(module):
        yield id(vars(module)["forward"])


def _sum(digest: Any, tensor: torch.Tensor, factors: np.ndarray) -> None:
    data = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    end = len(data) // (8 * WORDS) * (8 * WORDS)
    rows = data[:end].view(np.uint64).reshape(-1, WORDS)
    digest.update(np.einsum("ij,j->i", rows, factors))
    digest.update(data[end:])


@contextmanager
def watching(module: torch.nn.Module, see: See) -> Iterator[None]:
    """Show `see` what every layer that holds no others gives: name, layer, output."""

    def hook(name: str) -> Callable[..., None]:
        return lambda layer, _, output: see(name, layer, output)

    leaves = [(name, each) for name, each in module.named_modules() if next(each.children(), None) is None]
    handles = [each.register_forward_hook(hook(name)) for name, each in leaves]
    try:
        yield
    finally:
        for each in handles:
            each.remove()


def activations(
    module: torch.nn.Module, run: Callable[[], object], images: int, names: Collection[str]
) -> dict[str, np.ndarray]:
    """Return what named layers give while `run` runs the network on some images: channels last, or vectors.

    Layers that hold others, run more than once, or give anything else are left out.
    """
    outputs: dict[str, list[Any]] = {}

    def see(name: str, _: torch.nn.Module, output: Any) -> None:
        if name in names:  # a copy: the next layer may work in place
            outputs.setdefault(name, []).append(output.clone() if isinstance(output, torch.Tensor) else None)

    with watching(module, see):
        run()
    once = {name: found[0] for name, found in outputs.items() if len(found) == 1 and found[0] is not None}
    return {
        name: (each.movedim(1, -1) if each.ndim == 4 else each)[:images].cpu().float().numpy()
        for name, each in once.items()
        if each.ndim in (2, 4)
    }
