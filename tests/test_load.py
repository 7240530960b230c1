"""What `load` opens, how it chooses, and what it says where it cannot."""

import json
import subprocess
import sys

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from eyeline import load
from eyeline.errors import InputError, MissingDependencyError, ModelError, UnsupportedError
from eyeline.models import lite0
from eyeline.models.load import read_classes
from eyeline.models.openers import OPENERS

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # TorchScript is what is tested


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.ReLU(), nn.AdaptiveAvgPool2d(2),
                         nn.Flatten(), nn.Linear(16, 2)).eval()  # fmt: skip


def pictures(n=3, size=(8, 8)):
    return np.random.default_rng(0).random((n, *size, 3), dtype=np.float32)


def ones(scores):
    return np.ones_like(scores)


def assert_same_model(found, images, gradients=True):
    live = load(network())
    np.testing.assert_allclose(found.scores(images), live.scores(images), atol=1e-6)
    if gradients:
        np.testing.assert_allclose(found.gradient(images, ones)[1], live.gradient(images, ones)[1], atol=1e-6)


def test_weights_with_every_form_of_architecture(tmp_path, monkeypatch):
    (tmp_path / "nets_of_mine.py").write_text(
        "import torch\nfrom torch import nn\n"
        "def build():\n    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.ReLU(),\n"
        "        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 2))\n"
        "class Holder:\n    net = build()\n"
        "def pixels(images):\n    return images.mean((1, 2))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    weights = network().state_dict()
    torch.save(weights, tmp_path / "plain.pth")
    torch.save(
        {"epoch": 3, "state_dict": {f"module.{name}": each for name, each in weights.items()}}, tmp_path / "run.ckpt"
    )
    safetensors.torch.save_file(weights, tmp_path / "safe.safetensors")
    torch.save(weights, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    empty = network()
    nn.init.zeros_(empty[0].weight)
    for name in ("plain.pth", "run.ckpt", "safe.safetensors", "old.pt"):
        assert_same_model(load(tmp_path / name, architecture="nets_of_mine:build"), pictures())
        assert_same_model(load(str(tmp_path / name), architecture=empty), pictures())
    assert (empty[0].weight == 0).all(), "a live architecture is copied, not filled"

    assert load("nets_of_mine:build").scores(pictures()).shape == (3, 2)
    assert load("nets_of_mine:Holder.net").axes == 2
    np.testing.assert_allclose(load("nets_of_mine:pixels").scores(pictures()), pictures().mean((1, 2)), rtol=1e-6)
    with pytest.raises(InputError, match=r"must have the name 'bild', but it does not. Did you mean 'build'"):
        load("nets_of_mine:bild")
    with pytest.raises(InputError, match=r"a module that Python finds, but got 'nets_of_mien:build' \(No module named"):
        load("nets_of_mien:build")


@pytest.mark.parametrize(
    ("architecture", "sentence"),
    [
        (3, r"architecture must be a torch\.nn\.Module, or a function without parameters .* but got 3"),
        (torch.nn.Linear, "but got Linear .missing a required argument: 'in_features'."),
        ("torch", r"a name must be 'package\.module:name', but got 'torch'"),
    ],
)
def test_what_is_no_architecture(tmp_path, architecture, sentence):
    torch.save(network().state_dict(), tmp_path / "net.pth")
    with pytest.raises(InputError, match=sentence):
        load(tmp_path / "net.pth", architecture=architecture)


def test_weights_that_do_not_fit_say_what_differs(tmp_path):
    torch.save(network().state_dict(), tmp_path / "net.pth")
    with pytest.raises(InputError, match=r"must come with its architecture.*Pass architecture="):
        load(tmp_path / "net.pth")
    with pytest.raises(ModelError, match=r"must fit the architecture.*Missing key\(s\) in state_dict"):
        load(tmp_path / "net.pth", architecture=nn.Linear(2, 2))
    with pytest.raises(InputError, match=r"must be or build a torch\.nn\.Module, but got str"):
        load(tmp_path / "net.pth", architecture=lambda: "net")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ModelError, match=r"must hold a table of tensors, but .* holds list"):
        load(tmp_path / "list.pth", architecture=network)
    with pytest.raises(InputError, match=r"architecture= goes with a file of weights"):
        load(network(), architecture=network)


@pytest.mark.parametrize("way", [torch.jit.script, lambda net: torch.jit.trace(net, torch.zeros(1, 3, 8, 8))])
@pytest.mark.parametrize("name", ["net.pt", "net.torchscript"])
def test_torchscript(tmp_path, way, name):
    way(network()).save(tmp_path / name)
    model = load(tmp_path / name)
    assert (model.axes, model.channels, model.input_size) == (2, 3, None)
    assert_same_model(model, pictures())
    with pytest.raises(InputError, match=r"holds its own. Leave it out"):
        load(tmp_path / name, architecture=network)


@pytest.mark.parametrize(
    ("batch", "dynamic", "sizes"),
    [(1, None, (1, 1)), (2, None, (2, 2)), (2, {0: torch.export.Dim.DYNAMIC}, (2, None)),
     (3, {0: torch.export.Dim("n", min=1, max=4)}, (1, 4))],
)  # fmt: skip
def test_exported_programs_with_fixed_and_free_batches(tmp_path, batch, dynamic, sizes):
    program = torch.export.export(network(), (torch.zeros(batch, 3, 8, 8),), dynamic_shapes=dynamic and (dynamic,))
    torch.export.save(program, tmp_path / "net.pt2")
    for source in (tmp_path / "net.pt2", program):
        model = load(source)
        assert model._sizes == sizes
        assert (model.input_size, model.axes, model.channels) == ((8, 8), 2, 3)
        for n in (1, 3, 5):
            assert_same_model(model, pictures(n))
    (tmp_path / "net.pt2").rename(tmp_path / "net.pt")
    assert_same_model(load(tmp_path / "net.pt"), pictures())
    with pytest.raises(InputError, match=r"input_size must be the program's, \(8, 8\), but got \(9, 9\)"):
        load(program, input_size=9)


def test_an_exported_program_with_free_sizes_opens_without_trust(tmp_path):
    dim = torch.export.Dim
    sizes = ({0: dim.DYNAMIC, 2: dim.AUTO, 3: dim.AUTO},)
    program = torch.export.export(network(), (torch.zeros(2, 3, 8, 10),), dynamic_shapes=sizes)
    torch.export.save(program, tmp_path / "net.pt2")
    model = load(tmp_path / "net.pt2")
    assert model.input_size is None
    assert_same_model(model, pictures(3, (12, 9)))


def test_programs_that_cannot_be_explained():
    class Pair(nn.Module):
        def forward(self, images, mask):
            return (images * mask).mean((2, 3))

    example = torch.zeros(2, 3, 8, 8)
    with pytest.raises(UnsupportedError, match=r"must be exported in evaluation mode.*Export network\.eval\(\) again"):
        load(torch.export.export(network().train(), (example,)))
    with pytest.raises(UnsupportedError, match=r"must be exported in evaluation mode"):
        load(torch.export.export(nn.Sequential(nn.Dropout(), nn.Flatten()).train(), (example,)))
    with pytest.raises(UnsupportedError, match=r"one batch of images.* takes \[\(2, 3, 8, 8\), \(2, 3, 8, 8\)\]"):
        load(torch.export.export(Pair(), (example, example)))


def test_a_keras_model_on_the_torch_backend_is_a_keras_model(monkeypatch):
    opened = []
    module = network()
    keras = type(sys)("keras")
    keras.Model = nn.Sequential
    monkeypatch.setitem(sys.modules, "keras", keras)
    adapter = type(sys)("eyeline.models.keras")
    adapter.wrap_keras = lambda model, options: opened.append(model)
    monkeypatch.setitem(sys.modules, "eyeline.models.keras", adapter)
    load(module)
    assert opened == [module]


def test_missing_files_offer_the_nearest_names(tmp_path):
    (tmp_path / "model.keras").touch()
    with pytest.raises(InputError, match=r"nothing of that name in .*Did you mean 'model\.keras'"):
        load(tmp_path / "modell.keras")
    (tmp_path / "a.py").touch()
    (tmp_path / "plain").mkdir()
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").touch()
    with pytest.raises(InputError, match=r"Known: 'bundled', 'model\.keras', 'saved'\.$"):
        load(tmp_path / "xyz.onnx")
    with pytest.raises(InputError, match=r"no folder .*Known: 'bundled', files \(\.keras"):
        load(tmp_path / "no" / "model.keras")
    with pytest.raises(InputError, match=r"Did you mean 'bundled'"):
        load("bundeld")


def test_a_name_longer_than_files_have():
    with pytest.raises(InputError, match="a model must exist, but got 'aaa"):
        load("a" * 400)


def test_unknown_kinds_list_the_known_ones(tmp_path):
    (tmp_path / "model.txt").write_text("weights")
    with pytest.raises(
        InputError, match=r"model\.txt' is a file ending in '\.txt'\. Known: 'bundled', files \(.*\.onnx"
    ):
        load(tmp_path / "model.txt")
    with pytest.raises(InputError, match=r"is a folder without saved_model\.pb"):
        load(tmp_path)
    with pytest.raises(InputError, match=r"of a known kind, but got int\. Known"):
        load(3)
    with pytest.raises(InputError, match=r"of a known kind, but got ndarray"):
        load(np.zeros(3))
    with pytest.raises(InputError, match=r"must be an object, but got the class 'Linear'\. Pass an instance"):
        load(nn.Linear)


@pytest.mark.parametrize("name", ["net.pt", "net.pth", "net.pt2", "net.safetensors", "net.onnx"])
def test_damaged_files_say_so(tmp_path, name):
    (tmp_path / name).write_bytes(b"not a model at all" * 20)
    with pytest.raises(ModelError, match=r"file must be whole and of a version that"):
        load(tmp_path / name, **({"architecture": network} if name[4:] in ("pth", "safetensors", "pt") else {}))


def test_settings_are_checked_at_the_door():
    with pytest.raises(InputError, match=r"scores must be one of .* but got 'probabilty'. Did you mean 'probability'"):
        load(network(), scores="probabilty")
    with pytest.raises(InputError, match=r"output must be one of .* but got 'logits'. Did you mean 'logit'"):
        load(network(), output="logits")
    with pytest.raises(InputError, match=r"fit must be one of .* but got 'stretch'"):
        load(network(), fit="stretch")
    assert load(network(), input_size=64).input_size == load(network(), input_size=np.int64(64)).input_size == (64, 64)
    assert load(network(), input_size=[np.int64(64), 32]).input_size == (64, 32)
    for size in (0, -5, "224", 12.0, True, (64, 0), (1, 2, 3, 4)):
        with pytest.raises(InputError, match="input_size must be one to three whole numbers of pixels, 1 or more"):
            load(network(), input_size=size)
    with pytest.raises(InputError, match="device must be one that PyTorch knows, but got 'nowhere'"):
        load(network(), device="nowhere")


def test_devices_that_are_not_there(tmp_path):
    torch.save(network().state_dict(), tmp_path / "net.pth")
    torch.export.save(torch.export.export(network(), (torch.zeros(2, 3, 8, 8),)), tmp_path / "net.pt2")
    torch.jit.script(network()).save(tmp_path / "net.pt")
    for source, more in (("net.pth", {"architecture": network}), ("net.pt2", {}), ("net.pt", {})):
        with pytest.raises(InputError, match=r"device must be one that PyTorch can use here, but got 'nowhere'"):
            load(tmp_path / source, device="nowhere", **more)
        assert load(tmp_path / source, device="cpu", **more).describe()["device"] == "cpu"
    with pytest.raises(InputError, match=r"device must be one that PyTorch can use here"):
        load("bundled", device="nowhere")


def test_classes_from_lists_and_files(tmp_path):
    (tmp_path / "lines.txt").write_text("\ufeffcat\n\n dog \n", encoding="utf-8")
    (tmp_path / "list.json").write_text(json.dumps(["cat", "dog"]))
    (tmp_path / "table.json").write_text(json.dumps({"1": "dog", "0": "cat"}))
    (tmp_path / "gap.json").write_text(json.dumps({"0": "cat", "2": "dog"}))
    for given in (
        ["cat", "dog"],
        np.array(["cat", "dog"]),
        *(tmp_path / f"{name}" for name in ("lines.txt", "list.json")),
    ):
        assert read_classes(given) == ("cat", "dog")
    assert read_classes({1: "dog", 0: "cat"}) == read_classes({"0": "cat", "1": "dog"}) == ("cat", "dog")
    with pytest.raises(InputError, match=r"classes must be names by index, 0\.\.1, but got the keys \['cat', 'dog'\]"):
        read_classes({"cat": 0, "dog": 1})
    assert load(network(), classes=str(tmp_path / "table.json")).classes == ("cat", "dog")
    for bad, word in ((tmp_path / "gap.json", "KeyError"), (tmp_path / "none.txt", "FileNotFound"), (7, "got int")):
        with pytest.raises(InputError, match=f"classes must be .*{word}"):
            read_classes(bad)


def test_a_missing_package_gives_the_pip_line(tmp_path, monkeypatch):
    (tmp_path / "net.onnx").touch()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match=r"onnxruntime must be installed.* pip install 'eyeline\[onnx\]'"):
        load(tmp_path / "net.onnx")


def test_loading_a_function_imports_no_framework():
    code = (
        "import sys, eyeline\n"
        "eyeline.load(lambda images: images.mean((1, 2)))\n"
        "print(sorted({'torch', 'keras', 'tensorflow', 'jax', 'onnx', 'onnxruntime', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_row_of_the_table_names_code_that_exists():
    for opener in OPENERS:
        module, _, name = opener.opens.partition(":")
        source = lite0.__file__.replace("lite0.py", f"{module}.py")
        with open(source, encoding="utf-8") as file:
            text = file.read()
        assert f"def {name}(" in text or f"class {name}:" in text, opener.opens
