"""A twin of a PyTorch network that runs sooner: each batch norm is folded into the convolution before it.

The twin is read by `torch.fx` from a copy of the modules that shares every tensor with the network, so that nothing of
the user's is touched. Folded weights are computed anew for every pass, from what the network holds then: the twin can
never be behind. Where the reading fails, or could mean something else on another call, there is no twin.
"""

import contextlib
import copy
import types
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx

CONVOLUTIONS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
NORMS = (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d, torch.nn.BatchNorm3d)
KINDS = (torch.float32, torch.float64)
ROUNDING = 1e-4
"""Largest difference of the outputs that is put down to rounding, as a share of the largest of them."""

PLAIN = (bool, int, float, str, bytes, type(None), torch.dtype, torch.device, torch.layout)
FIXED: tuple[type, ...] = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodDescriptorType)
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
TABLES = ("_parameters", "_buffers", "_modules")
UNHELD = ("training", "_is_full_backward_hook", *HOOKS)
"""What `vars` of a module holds beside its settings."""


class NoTwinError(Exception):
    """What a network does cannot be told once and for all."""


class Twins:
    """The twin of a network as it is now, made when it is first asked for.

    Args:
        module: the network.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        self._module = module
        self._seen: Seen | None = None
        self._twin: Twin | None = None

    def now(self, run: Callable[[torch.nn.Module], Tensor]) -> torch.nn.Module:
        """Return the twin, or the network itself where it has none; `run` runs either on an image."""
        if self._seen is None or not self._seen.same():
            self._seen = self._twin = None
            with contextlib.suppress(NoTwinError):
                self._seen = Seen(self._module)
                self._twin = self._made(run)
        if self._twin is None:
            return self._module
        self._twin.refresh()
        return self._twin.module

    def _made(self, run: Callable[[torch.nn.Module], Tensor]) -> "Twin | None":
        """Read the network, and compare the outputs of both."""
        with torch.no_grad():
            try:
                twin = Twin(self._module)
                twin.refresh()
                found = run(twin.module)
            except Exception:  # whatever the network's own code raises when it is read
                return None
            own = run(self._module)
            alike = found.shape == own.shape and float((found - own).abs().max()) <= ROUNDING * float(own.abs().max())
        return twin if alike else None


class Twin:
    """A module that computes what another does, sooner.

    Raises:
        NoTwinError: no batch norm follows a convolution alone.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        shared = {id(each): each for each in _tensors(module)}
        twin = copy.deepcopy(module, shared)
        for each in twin.modules():
            each.training = False
        traced = fx.Tracer().trace(twin)
        modules = dict(twin.named_modules(remove_duplicate=False))
        self.module = fx.GraphModule(twin, traced)
        pairs = list(_pairs(self.module.graph, modules))
        if not pairs:
            raise NoTwinError
        self._sources = [(modules[node.target], modules[norm.target]) for node, norm in pairs]
        self._folded = [_unfilled(convolution) for convolution, _ in self._sources]
        for place, ((node, norm), folded) in enumerate(zip(pairs, self._folded, strict=True)):
            self.module.add_submodule(f"folded_{place}", folded)
            norm.replace_all_uses_with(node)
            self.module.graph.erase_node(norm)
            node.target = f"folded_{place}"
        self.module.recompile()

    @torch.no_grad()  # type: ignore[untyped-decorator]  # torch is untyped here
    def refresh(self) -> None:
        """Fold the weights that the network holds now."""
        for folded, (convolution, norm) in zip(self._folded, self._sources, strict=True):
            scale = (norm.running_var.double() + norm.eps).rsqrt()
            if norm.weight is not None:
                scale = scale * norm.weight
            shift = -norm.running_mean.double() * scale
            if convolution.bias is not None:
                shift = shift + convolution.bias * scale
            if norm.bias is not None:
                shift = shift + norm.bias
            weight = convolution.weight
            torch.mul(weight, scale.to(weight.dtype).reshape(-1, *[1] * (weight.ndim - 1)), out=folded.weight.data)
            folded.bias.copy_(shift)


class Pointwise(torch.nn.Module):  # type: ignore[misc]  # torch is untyped here
    """A convolution of one tap by oneDNN, where PyTorch would take its own for small batches, which is later done."""

    def __init__(self, convolution: torch.nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = convolution.weight, convolution.bias
        self._stride, self._dilation = convolution.stride, convolution.dilation

    def forward(self, data: Tensor) -> Tensor:
        return torch.mkldnn_convolution(data, self.weight, self.bias, (0, 0), self._stride, self._dilation, 1)


def _unfilled(convolution: torch.nn.Module) -> torch.nn.Module:
    """Return a convolution of the same settings whose weights are still to come."""
    folded = copy.deepcopy(convolution, {id(each): each for each in convolution.parameters()})
    weight = convolution.weight
    folded.weight = torch.nn.Parameter(torch.empty_like(weight), requires_grad=False)
    folded.bias = torch.nn.Parameter(weight.new_empty(len(weight)), requires_grad=False)
    plain = type(folded) is torch.nn.Conv2d and folded.kernel_size == (1, 1) and folded.padding == (0, 0)
    served = weight.device.type == "cpu" and weight.dtype == torch.float32 and torch.backends.mkldnn.is_available()
    return Pointwise(folded) if plain and served and folded.groups == 1 else folded


def _pairs(graph: fx.Graph, modules: dict[str, torch.nn.Module]) -> Iterator[tuple[fx.Node, fx.Node]]:
    """Yield convolutions whose output only a batch norm sees, with it; both run once."""
    called = [id(modules[node.target]) for node in graph.nodes if node.op == "call_module"]
    for node in list(graph.nodes):
        users = list(node.users)
        if node.op != "call_module" or len(users) != 1 or users[0].op != "call_module":
            continue
        convolution, norm = modules[node.target], modules[users[0].target]
        kinds = type(convolution) in CONVOLUTIONS and type(norm) in NORMS
        once = called.count(id(convolution)) == called.count(id(norm)) == 1
        alone = users[0].args == (node,) and not users[0].kwargs
        if kinds and once and alone and convolution.weight.dtype == norm.running_mean.dtype in KINDS:
            yield node, users[0]


def _tensors(module: torch.nn.Module) -> Iterator[Tensor]:
    for each in module.modules():
        for held in (*each._parameters.values(), *each._buffers.values(), *vars(each).values()):
            if isinstance(held, Tensor):
                yield held


class Seen:
    """What decides how a network runs, apart from its numbers: its modules, their settings, which tensors they hold.

    Compared by identity, as far as what is held cannot change; `training` is left out.

    Raises:
        NoTwinError: hooks, a `forward` that was put in the place of another, or settings that may change unseen.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        if isinstance(module, torch.jit.ScriptModule | fx.GraphModule):
            raise NoTwinError
        self._rows = [(type(each), each, *_held(vars(each))) for each in module.modules()]
        if not self.same():
            raise NoTwinError

    def same(self) -> bool:
        """Say whether nothing has changed, and no hook has come."""
        if torch.nn.modules.module._has_any_global_hook():
            return False
        for kind, each, fixed, loose, tables in self._rows:
            held = vars(each)
            if type(each) is not kind or any(held.get(hooks) for hooks in HOOKS) or "forward" in held:
                return False
            if len(held) != len(fixed) + len(loose) + len(TABLES) + sum(key in held for key in UNHELD):
                return False
            if not all(held.get(key) is one for key, one in fixed):
                return False
            for table, rows in tables:
                if len(held[table]) != len(rows) or not all(held[table].get(key) is one for key, one in rows):
                    return False
            if any(key not in held or held[key] is not one or _setting(one) != was for key, one, was in loose):
                return False
        return True


Rows = list[tuple[str, Any]]


def _held(held: dict[str, Any]) -> tuple[Rows, list[tuple[str, Any, Any]], list[tuple[str, Rows]]]:
    """Return a module's settings, those among them that may change within, and its tables."""
    own = [(key, one) for key, one in held.items() if key not in TABLES and key not in UNHELD]
    settings = [(key, one, _setting(one)) for key, one in own]
    loose = [(key, one, was) for key, one, was in settings if isinstance(one, list | dict | set | tuple | partial)]
    numbers = [key for key, one, _ in loose if isinstance(one, tuple) and all(type(each) in PLAIN for each in one)]
    fixed = [(key, one) for key, one in own if key in numbers or key not in [name for name, *_ in loose]]
    return (
        fixed,
        [each for each in loose if each[0] not in numbers],
        [(table, list(held[table].items())) for table in TABLES],
    )


def _setting(held: Any) -> Any:
    """Return what can be compared later; tensors and functions are compared by what they are, not by what they hold."""
    if isinstance(held, PLAIN):
        return held
    if isinstance(held, (Tensor, *FIXED)):
        return id(held)
    if isinstance(held, partial):
        return held.func, _inside(held.args), _inside(held.keywords)
    if isinstance(held, dict):
        return {key: _inside(each) for key, each in held.items()}
    if isinstance(held, list | tuple | set | frozenset):
        return type(held), [_inside(each) for each in held]
    raise NoTwinError


def _inside(held: Any) -> Any:
    if isinstance(held, Tensor):  # a copy of it would be behind
        raise NoTwinError
    return _setting(held)
