"""Superpixels agree with Captum's FeatureAblation under a label mask, number by number, on a real network."""

import numpy as np
import pytest
import torch
from captum import attr
from test_captum import numbers, photograph, tensor

import eyeline
from networks import build


@pytest.mark.parametrize("name", ["ResNet18", "small"])
def test_label_images_are_feature_masks(name):
    from skimage.segmentation import slic

    image = photograph() if name == "ResNet18" else photograph()[:, 80:144, 80:144]
    # float64: a drop is a small difference of large scores, and float32's rounding depends on how pixels lie in memory
    module = build(name, classes=7, size=image.shape[1]).double()
    labels = slic(image[0], 15, 10, start_label=0, channel_axis=-1)
    labels = np.unique(labels, return_inverse=True)[1].reshape(labels.shape)
    baseline = np.full_like(image, 0.3)
    found = eyeline.Superpixels(labels, baseline=eyeline.Constant(0.3), engine="full")(
        eyeline.load(module, input_size=image.shape[1:3]), image, 3
    )
    mask = torch.from_numpy(labels)[None, None]
    theirs = attr.FeatureAblation(module).attribute(
        tensor(image).double(), baselines=tensor(baseline).double(), feature_mask=mask, target=3
    )
    np.testing.assert_allclose(found.maps, numbers(theirs)[..., 0], rtol=1e-5, atol=1e-5 * np.abs(found.maps).max())
