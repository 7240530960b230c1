"""The architectures of the benchmarks are the published ones, and their random weights do something."""

import numpy as np
import pytest
import torch

from networks import NETWORKS, build, pictures

PARAMETERS = {
    "VGG16": 138_357_544,
    "ResNet18": 11_689_512,
    "ResNet50": 25_557_032,
    "MobileNetV2": 3_504_872,
    "DenseNet121": 7_978_856,
    "GoogLeNet": 6_624_904,
    "ConvNeXt-T": 28_589_128,
}
"""As torchvision counts them; GoogLeNet without its side exits."""


@pytest.mark.parametrize(("name", "count"), PARAMETERS.items())
def test_number_of_parameters(name, count):
    with torch.device("meta"):
        network = NETWORKS[name](1000)
    assert sum(each.numel() for each in network.parameters()) == count


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "VGG16"])
def test_activations_do_not_vanish(name):
    network = build(name, classes=10, size=64)
    with torch.no_grad():
        scores = network(torch.from_numpy(pictures(4, 64, seed=1)).movedim(-1, 1)).numpy()
    assert not network.training
    assert scores.std(axis=1).min() > 0.1, "classes differ"
    assert scores.std(axis=0).mean() > 0.05, "images differ"
    assert np.abs(scores).max() < 100
