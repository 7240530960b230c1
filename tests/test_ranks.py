"""The architecture as a test: a file imports from lower ranks or its own folder; frameworks have one home."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "eyeline"

RANKS = {
    "errors": 0, "_typing": 0, "_numbers": 0, "window": 0.5,
    "_files": 0.5, "limits": 0.5, "_pictures": 0.6, "_transforms": 0.6, "_arrays": 0.7,
    "filling": 0.9, "baseline": 1, "target": 1, "image": 1, "preprocess": 1, "colour": 1,
    "region": 1, "mask": 1, "labels": 1, "cells": 1.1, "pairs": 1.1, "sweep": 1.2,
    "attribution": 1.5,  # the result is made of the things of rank 1
    "flip": 1.6, "interaction": 1.6,
    "incremental": 2,
    "models": 3,
    "methods": 4, "metrics": 4.5,
    "picture": 5, "plot": 5.1, "page": 5.2, "dataset": 5.3, "audit": 5.4, "gate": 5.45,
    "command": 5.5, "app": 6, "demo": 6, "lecture": 6, "cli": 6.5,
    "__init__": 7,
}  # fmt: skip

HOMES = {
    "torch": {
        path.relative_to(SOURCE).as_posix()
        for pattern in ("models/torch*.py", "models/openvino*.py", "incremental/*.py")
        for path in SOURCE.glob(pattern)
    }
    | {f"models/onnx_{name}.py" for name in ("importer", "operations", "elementwise", "derivative")}
    | {path.relative_to(SOURCE).as_posix() for path in SOURCE.glob("models/onnx_torch*.py")}
    | {f"models/keras_{name}.py" for name in ("eager", "elementwise", "graph", "layers", "passes", "readings")}
    | {"models/keras_random.py", "models/bundled.py", "models/lite0.py"},
    "keras": {
        f"models/{name}.py"
        for name in ("keras", "keras_eager", "keras_files", "keras_joined", "keras_layers", "keras_passes")
    }
    | {"lecture/network.py"},
    "tensorflow": {
        "models/keras_layers.py",
        "models/keras_passes.py",
        "models/savedmodel.py",
        "models/savedmodel_scan.py",
    },
    "jax": {"models/keras_layers.py", "models/keras_passes.py"},
    "onnx": {path.relative_to(SOURCE).as_posix() for path in SOURCE.glob("models/onnx*.py")},
    "onnxruntime": {"models/onnx.py", "models/onnx_files.py", "models/onnx_input.py", "models/onnx_pieces.py"},
    "openvino": {"models/openvino.py"},
    "matplotlib": {"plot.py"},
    "nicegui": {"app/page.py", "app/serve.py"},
    "ray": set(),  # imported by name, where a run asks for it
}


def files():
    return sorted(SOURCE.rglob("*.py"))


def rank(path):
    top = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    return RANKS[top]


def imports(path):
    """Yield (module, line) of every import in a file, wherever it stands, but not those for the type checker."""
    tree = ast.parse(path.read_text())
    skipped = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            if node.module == "eyeline":
                yield from ((f"eyeline.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield node.module, node.lineno


STEPS_UP = {("attribution.py", "eyeline.page.notebook")}  # a notebook asks the result itself to show itself


def steps_up(path):
    own = path.parent if path.parent != SOURCE else None
    for module, line in imports(path):
        if not module.startswith("eyeline") or (path.name, module) in STEPS_UP:
            continue
        parts = module.split(".")[1:] or ["__init__"]
        if own is not None and SOURCE / parts[0] == own:
            continue
        if (SOURCE / parts[0]).exists() or (SOURCE / f"{parts[0]}.py").exists():
            higher = RANKS[parts[0]] >= rank(path)
        else:
            higher = True  # a name of the package itself: its __init__
        if higher:
            yield f"{path.relative_to(SOURCE)}:{line} imports {module}"


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_only_from_lower_ranks(path):
    assert list(steps_up(path)) == []


def test_a_step_up_is_seen(tmp_path, monkeypatch):
    """Sabotage twin: a rank-1 file that imports a method is caught."""
    monkeypatch.setattr(sys.modules[__name__], "SOURCE", tmp_path)
    (tmp_path / "methods").mkdir()
    (tmp_path / "window.py").write_text("def late():\n    from eyeline.methods import explain\n")
    assert list(steps_up(tmp_path / "window.py")) == ["window.py:2 imports eyeline.methods"]


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_framework_is_imported_in_its_home_only(path):
    name = path.relative_to(SOURCE).as_posix()
    strangers = [
        f"{name}:{line} imports {module}"
        for module, line in imports(path)
        if name not in HOMES.get(module.partition(".")[0], {name})
    ]
    assert strangers == []


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_file_and_a_function_fit_a_reader(path):
    text = path.read_text()
    tree = ast.parse(text)
    if "Longer than" in (ast.get_docstring(tree) or ""):
        return
    assert text.count("\n") <= 250, "over 250 lines: split by idea, or say why in the docstring ('Longer than ...')"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = node.end_lineno - body[0].lineno + 1 if body else 0
            assert length <= 40, f"{node.name} has {length} lines"


def test_importing_loads_no_framework():
    code = (
        "import sys, eyeline; eyeline.explain, eyeline.Occlusion, eyeline.load, eyeline.Attribution; "
        "heavy = {'torch', 'keras', 'tensorflow', 'jax', 'onnx', 'onnxruntime', 'openvino', 'matplotlib', 'skimage'}; "
        "heavy |= {'nicegui', 'fastapi', 'uvicorn', 'zarr', 'ray'}; "
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_public_names_exist():
    import eyeline

    assert all(getattr(eyeline, name) is not None for name in eyeline.__all__)
    with pytest.raises(AttributeError, match="no attribute 'explane'"):
        _ = eyeline.explane
