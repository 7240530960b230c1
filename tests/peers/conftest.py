"""These tests compare with other tools, which live in an environment of their own (make test-peers)."""

import importlib.util
import sys
from pathlib import Path

import pytest

import torchvision_stub

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
collect_ignore_glob = [] if importlib.util.find_spec("captum") else ["test_*.py"]


@pytest.fixture(scope="session")
def stubbed_torchvision():
    """Give zennit and grad-cam the few names of torchvision that they import; PyPI's build is for another torch."""
    torchvision_stub.stub()


@pytest.fixture(scope="module")
def network():
    """A residual network in float64, so that no activation falls on another side of zero than in another tool."""
    from networks import build

    return build("ResNet18", classes=10, size=32).double()


@pytest.fixture(scope="module")
def images():
    from networks import pictures

    return pictures(2, 32)[:, :, :24].copy()


@pytest.fixture(scope="module")
def model(network):
    import eyeline

    return eyeline.load(network, input_size=(32, 24))
