"""A SavedModel exported from Keras: methods that need derivatives only find PyTorch's maps, others are refused."""

import pytest

import eyeline
from eyeline.errors import UnsupportedError
from same_weights import GRADIENTS, INSIDE, SETTINGS, in_keras, in_torch, mapped, same

# Keras' variables lack the copy keyword that NumPy 2 asks for.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "network"
    in_keras(in_torch()).export(folder, verbose=False)
    return eyeline.load(folder, **SETTINGS)


@pytest.mark.parametrize("method", GRADIENTS)
def test_derivatives_suffice(exported, method):
    same(exported, method)


@pytest.mark.parametrize("method", INSIDE)
def test_layers_and_relus_cannot_be_reached(exported, method):
    with pytest.raises(
        UnsupportedError, match=rf"method '{method}' must have a model .* is one whole\. Load the network"
    ):
        mapped(exported, method)
