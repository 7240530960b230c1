"""Files that would run code when PyTorch opens them: refused with our sentence, and the code does not run.

Where it can be shown, the same file is opened with `trust=True` and then does run, so that the test is not about a
harmless file.
"""

import contextlib
import io
import json
import os
import pickle
import warnings
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from eyeline import load
from eyeline.errors import Error, ModelError

pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),  # TorchScript is what is tested
    pytest.mark.filterwarnings("ignore::UserWarning"),  # PyTorch's own, on the way to opening a hostile file
]


class Runs:
    """Unpickles to a call."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "ran"


def network():
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


def program(path):
    torch.export.save(
        torch.export.export(network(), (torch.zeros(2, 3, 8, 8),), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)),
        path,
    )
    return path


def rewrite(path, changes=(), more=()):
    """Write the archive again with changed records; a change is bytes, or a function of the JSON inside."""
    changes = dict(changes)
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    root = next(iter(parts)).split("/")[0]
    for name, change in changes.items():
        full = f"{root}/{name}"
        if callable(change):
            content = json.loads(parts[full])
            change(content)
            change = json.dumps(content).encode()
        parts[full] = change
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as new:
        for name, content in [*parts.items(), *((f"{root}/{name}", content) for name, content in dict(more).items())]:
            new.writestr(name, content)
    return path


def opens_only_with_trust(path, marker, match, runs=True, **settings):
    with pytest.raises(ModelError, match=f"must not run code when it is opened, but .*{match}.*pass trust=True"):
        load(path, **settings)
    assert not marker.exists()
    if runs:
        try:
            model = load(path, trust=True, **settings)
            model.scores(np.zeros((2, 8, 8, 3), np.float32))
        except Error:
            pass
        assert marker.exists(), "the file is not hostile"


@pytest.mark.parametrize("name", ["weights.pth", "weights.pt", "weights.ckpt", "weights.bin"])
@pytest.mark.parametrize("old", [False, True])
def test_weights_that_run_code(tmp_path, marker, name, old):
    torch.save({"weight": Runs(marker)}, tmp_path / name, _use_new_zipfile_serialization=not old)
    opens_only_with_trust(tmp_path / name, marker, "that calls posix.mkdir", architecture=network)


def test_a_bare_pickle_of_a_network(tmp_path, marker):
    (tmp_path / "net.pth").write_bytes(pickle.dumps(Runs(marker)))
    opens_only_with_trust(tmp_path / "net.pth", marker, "holds a pickle", runs=False)
    torch.save(network(), tmp_path / "whole.pth")
    opens_only_with_trust(tmp_path / "whole.pth", marker, "holds a pickle", runs=False)
    assert load(tmp_path / "whole.pth", trust=True).axes == 2


def test_torchscript_with_a_hostile_pickle(tmp_path, marker):
    network_file = tmp_path / "net.pt"
    torch.jit.script(network()).save(network_file)
    rewrite(network_file, {"data.pkl": pickle.dumps(Runs(marker), protocol=2)})
    opens_only_with_trust(network_file, marker, "holds a pickle that calls posix.mkdir", runs=False)
    rewrite(network_file, {"data.pkl": pickle.dumps(Runs(marker), protocol=4)})
    opens_only_with_trust(network_file, marker, "STACK_GLOBAL", runs=False)


class Saves(nn.Module):
    def forward(self, images):
        torch.save(images, "MARKER")
        return images.mean((2, 3))


class SavesSometimes(nn.Module):
    def forward(self, images):
        if bool(images.sum() == 0):
            torch.save(images, "MARKER")
        return images.mean((2, 3))


class SavesBeside(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Saves()

    def forward(self, images):
        return torch.jit.wait(torch.jit.fork(self.inner, images))


class Maps(nn.Module):
    def forward(self, images):
        return images.mean((2, 3)) + torch.from_file("MARKER", shared=True, size=1)


@pytest.mark.parametrize(
    ("module", "operation"),
    [(Saves, "save"), (SavesSometimes, "save"), (SavesBeside, "save"), (Maps, "from_file")],
)
def test_torchscript_that_writes_files(tmp_path, monkeypatch, module, operation):
    torch.jit.script(module()).save(tmp_path / "net.pt")
    monkeypatch.chdir(tmp_path)
    opens_only_with_trust(tmp_path / "net.pt", tmp_path / "MARKER", f"uses the operation aten::{operation}")


class Restoring(nn.Module):
    """Writes a file while it is opened."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    @torch.jit.export
    def __getstate__(self):
        return self.weight, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, bool]):
        self.weight = state[0]
        self.training = state[1]
        torch.save(self.weight, "MARKER")

    def forward(self, images):
        return images.mean((2, 3)) * self.weight


def test_torchscript_that_runs_while_it_is_opened(tmp_path, marker, monkeypatch):
    torch.jit.script(Restoring()).save(tmp_path / "net.pt")
    monkeypatch.chdir(tmp_path)
    opens_only_with_trust(tmp_path / "net.pt", tmp_path / "MARKER", "holds code with __setstate__")


def test_a_program_with_a_hostile_pickle(tmp_path, marker):
    buffer = io.BytesIO()
    torch.save(((Runs(marker),), {}), buffer)
    path = rewrite(program(tmp_path / "net.pt2"), {"data/sample_inputs/model.pt": buffer.getvalue()})
    opens_only_with_trust(path, marker, "sample_inputs.*posix")


def test_a_program_with_hostile_weights(tmp_path, marker):
    buffer = io.BytesIO()
    torch.save(Runs(marker), buffer)

    def unpickle(config):
        next(iter(config["config"].values()))["use_pickle"] = True

    changes = {"data/weights/weight_0": buffer.getvalue(), "data/weights/model_weights_config.json": unpickle}
    opens_only_with_trust(rewrite(program(tmp_path / "net.pt2"), changes), marker, "must be unpickled")


def test_a_program_with_a_hostile_constant(tmp_path, marker):
    def constant(config):
        config["config"]["thing"] = {
            "path_name": "opaque_obj_0",
            "is_param": False,
            "use_pickle": True,
            "tensor_meta": None,
        }

    path = program(tmp_path / "net.pt2")
    rewrite(
        path,
        {"data/constants/model_constants_config.json": constant},
        {"data/constants/opaque_obj_0": pickle.dumps(Runs(marker))},
    )
    opens_only_with_trust(path, marker, "opaque_obj_0|must be unpickled")


def operation(model, marker):
    node = model["graph_module"]["graph"]["nodes"][1]
    node["target"] = "torch.os.mkdir"
    node["inputs"] = [{"name": "path", "arg": {"as_string": str(marker)}, "kind": 1}]


def mapped(model, marker):
    node = model["graph_module"]["graph"]["nodes"][1]
    node["target"] = "torch.ops.aten.from_file.default"
    given = {"filename": {"as_string": str(marker)}, "shared": {"as_bool": True}, "size": {"as_int": 1}}
    node["inputs"] = [{"name": name, "arg": value, "kind": 1} for name, value in given.items()]


def size(model, marker):
    values = model["graph_module"]["graph"]["tensor_values"]
    values["input"]["sizes"][0]["as_expr"]["expr_str"] = f"__import__('os').mkdir({str(marker)!r})"


def guard(model, marker):
    model["guards_code"] = [f"__import__('os').mkdir({str(marker)!r}) is None"]


def quote(model, marker):
    model["guards_code"] = [f'L[\'input\'] != \'\\\'"); __import__("os").mkdir("{marker}"); ("\'']


def argument(model, marker):
    text = json.dumps(model).replace(
        '"name": "input"', '"name": ' + json.dumps(f"input=__import__('os').mkdir({str(marker)!r})")
    )
    model.update(json.loads(text))


@pytest.mark.parametrize(
    ("change", "match", "runs"),
    [
        (operation, "target 'torch.os.mkdir'", False),  # PyTorch's own check refuses it too
        (mapped, "target 'torch.ops.aten.from_file.default'", True),
        (size, "expr_str .__import__", True),
        (guard, "guards_code .__import__", True),
        (quote, "guards_code", False),
        (argument, "name .input=__import__", False),
    ],
)
def test_a_program_with_hostile_text(tmp_path, marker, change, match, runs):
    path = rewrite(program(tmp_path / "net.pt2"), {"models/model.json": lambda model: change(model, marker)})
    opens_only_with_trust(path, marker, match, runs=runs)


def test_free_text_in_a_program_is_never_run(tmp_path, marker):
    """Stack traces and the like may hold anything; they are kept, not evaluated."""
    code = f"\n\nimport os; os.mkdir({str(marker)!r})\n'''\"\"\"\n"

    def change(model):
        for node in model["graph_module"]["graph"]["nodes"]:
            node["metadata"] |= {
                "stack_trace": code,
                "torch_fn": f"{code};{code}",
                "nn_module_stack": f"{code},{code},{code}".replace(", ", " "),
            }

    path = rewrite(program(tmp_path / "net.pt2"), {"models/model.json": change})
    with contextlib.suppress(Error):
        load(path).gradient(np.zeros((2, 8, 8, 3), np.float32), np.ones_like)
    assert not marker.exists()


@pytest.mark.parametrize("name", ["data/aotinductor/model/net.so", "data/constants/custom_obj_0", "models/../net.py"])
def test_a_program_with_compiled_code_or_objects(tmp_path, marker, name):
    path = rewrite(program(tmp_path / "net.pt2"), more={name: b"code"})
    opens_only_with_trust(path, marker, "is not a plain tensor", runs=False)


def test_a_program_in_the_old_layout(tmp_path, marker):
    path = program(tmp_path / "net.pt2")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("version", "8.5")
        archive.writestr("serialized_state_dict.pt", pickle.dumps(Runs(marker)))
    opens_only_with_trust(path, marker, "layout of PyTorch 2.7", runs=False)


@pytest.mark.parametrize("name", ["net.pt", "net.pt2"])
def test_an_archive_that_would_fill_the_memory(tmp_path, name):
    with (
        zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("net/data.pkl", "w") as file,
    ):
        for _ in range(128):
            file.write(bytes(1 << 20))
    with pytest.raises(ModelError, match=r"must not unpack to far more than its size, but .* unpacks to 134,217,728"):
        load(tmp_path / name)


def test_honest_files_open_without_trust(tmp_path):
    """The guard refuses code, not networks: einsum, interpolation, attention, and shapes taken from the images."""

    class Wide(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("scale", torch.linspace(0, 1, 3))
            self.attention = nn.MultiheadAttention(3, 1, batch_first=True)
            self.layers = nn.ModuleDict({"a": nn.Conv2d(3, 3, 3, padding=1), "b": nn.GroupNorm(1, 3)})

        def forward(self, images):
            n, channels = images.shape[:2]
            small = nn.functional.interpolate(images, scale_factor=0.5, mode="bilinear")
            values = self.layers["b"](self.layers["a"](small)).flatten(2).transpose(1, 2)
            attended, _ = self.attention(values, values, values, need_weights=False)
            return {"scores": torch.einsum("npc,c->nc", attended, self.scale).reshape(n, channels)}

    module, images = Wide().eval(), np.random.default_rng(0).random((3, 8, 8, 3), dtype=np.float32)
    expected = load(module).scores(images)
    dynamic = ({0: torch.export.Dim("n", min=1, max=64)},)
    torch.export.save(
        torch.export.export(module, (torch.zeros(4, 3, 8, 8),), dynamic_shapes=dynamic), tmp_path / "net.pt2"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a trace is fixed to what it saw
        torch.jit.trace(module, torch.zeros(3, 3, 8, 8), strict=False).save(tmp_path / "net.pt")
    for name in ("net.pt2", "net.pt"):
        np.testing.assert_allclose(load(tmp_path / name).scores(images), expected, atol=1e-5)
