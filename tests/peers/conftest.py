"""These tests compare with other tools, which live in an environment of their own (make test-peers)."""

import importlib.util
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
collect_ignore_glob = [] if importlib.util.find_spec("captum") else ["test_*.py"]
