"""Every test run: shapes are checked at inner calls, one thread computes, Keras has a backend, nothing is timed."""

import importlib.util
import os

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

from hypothesis import settings
from jaxtyping import install_import_hook

settings.register_profile("untimed", deadline=None)  # how long an example takes is the machine's affair
settings.load_profile("untimed")

# The inner parts, which trust their types; the doors stay unchecked, so that their own sentences are tested.
NAMES = (
    "torch",
    "keras",
    "keras_passes",
    "keras_input",
    "savedmodel",
    "savedmodel_scan",
    "onnx",
    "openvino",
    "function",
)
ADAPTERS = [f"eyeline.models.{name}" for name in NAMES]
install_import_hook(["eyeline.attribution", "eyeline.methods.base", *ADAPTERS], "beartype.beartype")

if importlib.util.find_spec("torch"):
    import torch

    torch.set_num_threads(1)
