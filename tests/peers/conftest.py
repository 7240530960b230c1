"""These tests compare with other tools, which live in an environment of their own (make test-peers)."""

import importlib.util
import sys
import types
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
collect_ignore_glob = [] if importlib.util.find_spec("captum") else ["test_*.py"]


@pytest.fixture(scope="session")
def stubbed_torchvision():
    """Give zennit and grad-cam the few names of torchvision that they import; PyPI's build is for another torch."""
    if "torchvision" in sys.modules:
        return
    parts = ["torchvision", "torchvision.models", "torchvision.models.resnet", "torchvision.transforms"]
    parts.append("torchvision.transforms.functional")
    for name in parts:
        module = types.ModuleType(name)
        sys.modules[name] = module
        above, _, last = name.rpartition(".")
        if above:
            setattr(sys.modules[above], last, module)
    resnet, transforms = sys.modules[parts[2]], sys.modules[parts[3]]
    resnet.Bottleneck = resnet.BasicBlock = type("Block", (), {})
    transforms.Compose = transforms.Normalize = transforms.ToTensor = transforms.functional.resize = None
