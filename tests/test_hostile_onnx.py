"""ONNX files that read what is not theirs, or need code that is not ONNX's: refused before onnxruntime opens them."""

import os

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from eyeline import load
from eyeline.errors import ModelError

VALUES = np.arange(3, dtype=np.float32)


def external(location, raw=b""):
    tensor = TensorProto(name="bias", data_type=TensorProto.FLOAT, dims=[3], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", str(location)), ("offset", "0"), ("length", "12")):
        tensor.external_data.add(key=key, value=value)
    return tensor


def model(nodes, initializers=(), functions=(), domains=("",)):
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, 5, 5])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, None)],
        list(initializers),
    )
    opsets = [helper.make_opsetid(domain, 17 if not domain else 1) for domain in domains]
    return helper.make_model(graph, opset_imports=opsets, functions=list(functions), ir_version=9)


def mean(output="means"):
    return helper.make_node("ReduceMean", ["images"], [output], axes=[2, 3], keepdims=0)


def biased(tensor):
    return model([mean(), helper.make_node("Add", ["means", "bias"], ["scores"])], [tensor])


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "secret.bin").write_bytes(VALUES.tobytes())
    inside = tmp_path / "model"
    inside.mkdir()
    return inside


def write(folder, proto):
    (folder / "net.onnx").write_bytes(proto.SerializeToString())
    return folder / "net.onnx"


def test_weights_inside_the_folder_are_read(folder):
    (folder / "parts").mkdir()
    (folder / "parts" / "bias.bin").write_bytes(VALUES.tobytes())
    found = load(write(folder, biased(external("parts/bias.bin"))))
    np.testing.assert_allclose(found.scores(np.zeros((2, 5, 5, 3), np.float32)), [VALUES, VALUES])


@pytest.mark.parametrize("way", ["parent", "absolute", "link", "linked folder", "missing", "folder"])
def test_weights_outside_the_folder_are_refused(folder, monkeypatch, way):
    opened = []
    monkeypatch.setattr("onnxruntime.InferenceSession", lambda *given, **settings: opened.append(given))
    secret = folder.parent / "secret.bin"
    location = {"parent": "../secret.bin", "absolute": secret, "link": "link.bin", "linked folder": "out/secret.bin",
                "missing": "none.bin", "folder": "."}[way]  # fmt: skip
    os.symlink(secret, folder / "link.bin")
    os.symlink(folder.parent, folder / "out")
    with pytest.raises(ModelError, match=r"must lie in its folder, but .* asks for .*without links"):
        load(write(folder, biased(external(location))))
    assert opened == []


def test_weights_hidden_in_constants_subgraphs_and_functions_are_found(folder):
    constant = helper.make_node("Constant", [], ["bias"], value=external("../secret.bin"))
    add = helper.make_node("Add", ["means", "bias"], ["scores"])
    branch = helper.make_graph(
        [constant], "branch", [], [helper.make_tensor_value_info("bias", TensorProto.FLOAT, [3])]
    )
    condition = helper.make_node("Constant", [], ["yes"], value=helper.make_tensor("yes", TensorProto.BOOL, [], [True]))
    choose = helper.make_node("If", ["yes"], ["bias"], then_branch=branch, else_branch=branch)
    function = helper.make_function("mine", "Bias", [], ["bias"], [constant], [helper.make_opsetid("", 17)])
    called = helper.make_node("Bias", [], ["bias"], domain="mine")
    for proto in (
        model([mean(), constant, add]),
        model([mean(), condition, choose, add]),
        model([mean(), called, add], functions=[function], domains=("", "mine")),
    ):
        with pytest.raises(ModelError, match=r"must lie in its folder, but .* asks for '\.\./secret\.bin'"):
            load(write(folder, proto))


def test_custom_operations_are_refused(folder):
    node = helper.make_node("Shell", ["images"], ["scores"], domain="evil.example")
    with pytest.raises(ModelError, match=r"must use ONNX's own operations, but .* uses evil\.example\.Shell"):
        load(write(folder, model([node], domains=("", "evil.example"))))


def test_functions_inside_the_file_are_its_own(folder):
    inner = helper.make_node("ReduceMean", ["values"], ["means"], axes=[2, 3], keepdims=0)
    function = helper.make_function("mine", "Pool", ["values"], ["means"], [inner], [helper.make_opsetid("", 17)])
    node = helper.make_node("Pool", ["images"], ["scores"], domain="mine")
    found = load(write(folder, model([node], functions=[function], domains=("", "mine"))))
    assert found.scores(np.ones((2, 5, 5, 3), np.float32)).shape == (2, 3)
    assert onnx.load(folder / "net.onnx").functions
