"""What stands in a TorchScript or exported-program file, looked at before PyTorch opens it.

Both kinds are zip archives, read here by the very reader that PyTorch uses, so that both see the same records.
What is not known to be harmless is refused: neither kind has a safe mode of its own.

TorchScript runs `__setstate__` while it is opened, and its language can write files. An exported program is
JSON whose strings PyTorch evaluates as Python (sizes, guards, names in generated code) or looks up in the
whole of `torch` (operators), next to pickles that it opens unsafely when the safe way fails.
"""

import ast
import io
import json
import pickle
import pickletools
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from eyeline.errors import ModelError, first_line

SPARE = 100_000_000
"""Bytes that the text in an archive, which is compressed, may unpack to beyond ten times the file."""

PICKLED = {"collections", "torch", "torch._utils", "torch.jit._pickle", "torch.storage"}
OPERATORS = r"(aten|prim|prims)::(?!save$|from_file$|rpc_|PythonOp$|IgnoredPythonOp$|CallMethod$|CallFunction$)\w+"

RECORDS = (
    r"archive_format|archive_version|version|byteorder|\.data/.*|extra/.*|models/[\w-]+\.json|data/sample_inputs/.*\.pt"
    r"|data/(weights|constants)/(\w+_config\.json|(weight|tensor)_\d+)"
)
TARGETS = (
    r"torch\.ops\.(aten|prims)\.(?!from_file|save)\w+(\.\w+)?"
    r"|torch\.ops\.higher_order\.(cond|wrap_with_set_grad_enabled|wrap_with_autocast)"
    r"|_operator\.(?!attrgetter|itemgetter|methodcaller|call)\w+|math\.\w+|torch\._?sym_\w+"
)
NAME, TEXT, PATH = r"[\w.]*", r"[^'\"\\\n\r{}]*", r"(weight|tensor)_\d+"
TREES = {None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"}
FUNCTIONS = (
    "Symbol|Integer|Float|Rational|Add|Mul|Pow|Max|Min|Mod|PythonMod|FloorDiv|CleanDiv|CeilDiv|ModularIndexing"
    "|CeilToInt|FloorToInt|TruncToInt|RoundToInt|ToFloat|IntTrueDiv|FloatTrueDiv|PowByNatural|Identity|Where"
    "|Eq|Ne|Lt|Le|Gt|Ge|And|Or|Not|max|min"
)
WORDS = "L|oo|int_oo|math|inf"
NODES = (
    ast.Expression, ast.Compare, ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.Call, ast.Subscript, ast.keyword,
    ast.operator, ast.boolop, ast.unaryop, ast.cmpop, ast.expr_context,
)  # fmt: skip


def refused(path: Path, why: str) -> ModelError:
    """Word the refusal of a file that would run code."""
    return ModelError(
        f"a model file must not run code when it is opened, but {str(path)!r} {why}. If you know who made it, "
        "pass trust=True; a safe way is weights (.safetensors, or .pth) with architecture=."
    )


def pickled(error: Exception) -> str:
    """Word what PyTorch's safe unpickler refused."""
    found = re.search(r"GLOBAL ([\w.]+)", str(error))
    return f"a pickle of more than plain tensors{f' that calls {found[1]}' if found else ''}"


def records(path: Path) -> dict[str, Any]:
    """Return the record names of PyTorch's zip archive, each with a function that reads it; empty for no archive.

    Raises:
        ModelError: an archive that would fill the memory: PyTorch keeps weights uncompressed.
    """
    if not zipfile.is_zipfile(path):
        return {}
    with zipfile.ZipFile(path) as archive:
        whole, packed = sum(each.file_size for each in archive.infolist()), path.stat().st_size
    if whole > 10 * packed + SPARE:
        raise ModelError(
            f"a model file must not unpack to far more than its size, but {str(path)!r} has {packed:,} bytes and "
            f"unpacks to {whole:,}. Save it again with PyTorch, which compresses no weights."
        )
    reader = torch._C.PyTorchFileReader(str(path))
    return {name: lambda name=name: reader.get_record(name) for name in reader.get_all_records()}


def check_script(path: Path) -> None:
    """Look into a TorchScript file before it is opened: nothing in it may run while it is.

    Raises:
        ModelError: a pickle names Python objects, or a class has `__setstate__` or is one of `torch.classes`.
    """
    for name, read in records(path).items():
        if name.endswith(".pkl"):
            for module, attribute in _globals(read(), path):
                script = module.split(".")[0] == "__torch__" and not module.startswith("__torch__.torch.classes")
                if module not in PICKLED and not script:
                    raise refused(path, f"holds a pickle that calls {module}.{attribute}")
        elif name.startswith("code/") and name.endswith(".py"):
            found = re.search(rb"\b__setstate__\b|\btorch\s*\.\s*classes\b", read())
            if found:
                raise refused(path, f"holds code with {found[0].decode()}")


def check_graphs(module: Any, path: Path) -> None:
    """Look at every operator of an opened TorchScript module, which has not run yet.

    Raises:
        ModelError: one that touches files, Python or other processes, or is not PyTorch's own.
    """
    for each in module.modules():
        inner = each._c
        hooks = [*inner._get_forward_hooks(), *inner._get_forward_pre_hooks()]
        for function in [*(inner._get_method(name) for name in inner._method_names()), *hooks]:
            for operator in _operators(_whole(function.graph)):
                if not re.fullmatch(OPERATORS, operator):
                    raise refused(path, f"uses the operation {operator}")


def check_program(path: Path) -> None:
    """Look into an exported program before it is opened.

    Raises:
        ModelError: a pickle of more than plain tensors, compiled code, an operation that is not PyTorch's own, or
            text that PyTorch would evaluate and that is more than a name or a size.
    """
    with zipfile.ZipFile(path) as archive:
        if any("/" not in name for name in archive.namelist()):
            raise refused(path, "has the layout of PyTorch 2.7 and older, which is pickles: export it again")
    for name, read in records(path).items():
        if not re.fullmatch(RECORDS, name):
            raise refused(path, f"holds {name!r}, which is not a plain tensor")
        try:
            if name.endswith(".pt"):
                torch.load(io.BytesIO(read()), weights_only=True, map_location="cpu")
            elif name.endswith(".json"):
                _walk(json.loads(read()), "")
        except pickle.UnpicklingError as error:
            raise refused(path, f"holds {name!r}, {pickled(error)}") from error
        except (ValueError, SyntaxError, KeyError, TypeError) as error:
            raise refused(path, f"holds {name!r} with {first_line(error, 200)}") from error


def _globals(pickled: bytes, path: Path) -> Iterator[tuple[str, str]]:
    """Every name that a pickle looks up. TorchScript writes them in one form only."""
    for code, argument, _ in pickletools.genops(pickled):
        if code.name == "GLOBAL":
            module, _, attribute = str(argument).partition(" ")
            yield module, attribute
        elif code.name in ("STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"):
            raise refused(path, f"holds a pickle with {code.name}")


def _operators(block: Any) -> Iterator[str]:
    for node in block.nodes():
        yield node.kind()
        for inner in node.blocks():
            yield from _operators(inner)
        for name in node.attributeNames():
            if node.kindOf(name) == "g":
                yield from _operators(_whole(node.g(name)))


def _whole(graph: Any) -> Any:
    """Copy a graph with every function that it calls written out."""
    copied = graph.copy()
    torch._C._jit_pass_inline(copied)
    return copied


def _walk(value: Any, key: str) -> None:
    """Check every text of the JSON by the key that it stands under; free text is allowed where it is only kept."""
    if isinstance(value, dict):
        for inner, each in value.items():
            if inner != "metadata":
                _walk(each, inner)
    elif isinstance(value, list):
        for each in value:
            _walk(each, key)
    elif key == "use_pickle" and value:
        raise ValueError("a tensor that must be unpickled")
    elif isinstance(value, str) and not _harmless(value, key):
        raise ValueError(f"{key} {value[:80]!r}")


def _harmless(text: str, key: str) -> bool:
    if key in ("in_spec", "out_spec", "treespec"):
        return not text or _tree(json.loads(text)[1])
    if key in ("expr_str", "guards_code"):
        return _arithmetic(text)
    patterns = {"target": TARGETS, "as_operator": TARGETS, "as_string": TEXT, "torch_version": TEXT, "path_name": PATH}
    return re.fullmatch(patterns.get(key, NAME), text) is not None


def _tree(spec: Any) -> bool:
    """Say whether a tree of containers is made of plain ones with plain keys."""
    context = json.loads(spec["context"]) if isinstance(spec["context"], str) else spec["context"]
    keys = context if isinstance(context, list) else [context]
    plain = all(key is None or (isinstance(key, str) and re.fullmatch(NAME, key)) for key in keys)
    return plain and spec["type"] in TREES and all(map(_tree, spec["children_spec"]))


def _arithmetic(text: str) -> bool:
    """Say whether text that is evaluated as Python holds arithmetic on sizes alone."""
    for node in ast.walk(ast.parse(text, mode="eval")):
        match node:
            case ast.Constant(value=str(words)):
                fine = re.fullmatch(NAME, words) is not None
            case ast.Constant(value=value):
                fine = isinstance(value, int | float | None)
            case ast.Name(id=name):
                fine = re.fullmatch(f"{FUNCTIONS}|{WORDS}", name) is not None
            case ast.Attribute(attr=name):
                fine = name in ("size", "stride", "storage_offset", "inf")
            case _:
                fine = isinstance(node, NODES)
        if not fine:
            return False
    return True
