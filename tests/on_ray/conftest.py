"""These tests need Ray; where it is missing, nothing here is collected. They use the small runs of tests/dataset."""

import importlib.util
import os
import sys
from pathlib import Path

collect_ignore_glob = [] if importlib.util.find_spec("ray") else ["test_*.py"]

sys.path.insert(0, str(Path(__file__).parent.parent / "dataset"))
os.environ["PYTHONPATH"] = os.pathsep.join([sys.path[0], os.environ.get("PYTHONPATH", "")])
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "DRIVER": str(os.getpid())}
