"""These tests compare with tools for TensorFlow, in an environment of their own (make test-keras-peers)."""

import importlib.util
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
collect_ignore_glob = [] if importlib.util.find_spec("xplique") else ["test_*.py"]

if not collect_ignore_glob:
    # Importing them warns of what they use of other libraries.
    with warnings.catch_warnings(action="ignore"):
        import tf_keras_vis.layercam  # noqa: F401
        import xplique.attributions  # noqa: F401
