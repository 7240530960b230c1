"""The table of every kind of model that `load` opens: a new kind is one row."""

from typing import NamedTuple


class Opener(NamedTuple):
    """One kind of model.

    Args:
        what: it is, in words.
        gives: what its models can do.
        extra: of the package, that brings what it needs.
        opens: "module:function" below `eyeline.models`, called with the source and the options.
        needs: packages to import first, or to name in the error.
        suffixes: of files, or the file that a folder must hold, with a leading "/".
        types: of live objects; looked for only in packages that are already imported.
        weights: takes `architecture=`.
    """

    what: str
    gives: str
    extra: str
    opens: str
    needs: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    weights: bool = False


BOTH, SCORES = "scores and gradients", "scores"

# Order counts: a Keras model on the torch backend is a torch module too.
OPENERS = (
    Opener("Keras 3 model", BOTH, "keras", "keras:wrap_keras", types=("keras.Model", "tf_keras.Model")),
    Opener("Keras file", BOTH, "keras", "keras:open_keras", suffixes=(".keras", ".h5", ".hdf5")),
    Opener(
        "TensorFlow SavedModel folder", BOTH, "tensorflow", "savedmodel:open_savedmodel",
        suffixes=("/saved_model.pb",),
    ),
    Opener("PyTorch module", BOTH, "torch", "torch:TorchModel", ("torch",), types=("torch.nn.Module",)),
    Opener(
        "exported PyTorch program", BOTH, "torch", "torch_files:open_program", ("torch",), (".pt2",),
        ("torch.export.ExportedProgram",),
    ),
    Opener(
        "TorchScript file, or PyTorch weights with architecture=", BOTH, "torch", "torch_files:open_torch",
        ("torch",), (".pt", ".pth", ".torchscript", ".ckpt", ".bin"), weights=True,
    ),
    Opener(
        "safetensors weights with architecture=", BOTH, "torch", "torch_files:open_safetensors",
        ("torch", "safetensors"), (".safetensors",), weights=True,
    ),
    Opener("ONNX file", BOTH, "onnx", "onnx:open_onnx", ("onnx", "onnxruntime"), (".onnx",)),
    Opener("function on images", SCORES, "", "function:FunctionModel"),
    Opener("bundled", BOTH, "demo", "bundled:open_bundled"),
)  # fmt: skip
"""Every kind of model that `load` opens."""
