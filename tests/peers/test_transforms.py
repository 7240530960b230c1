"""What is read from a transform equals what the transform itself computes: torchvision, timm, transformers."""
# ruff: noqa: E402 - the libraries are imported once it is known that they are there

import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from eyeline.errors import InputError
from eyeline.image import collect
from eyeline.preprocess import NAMED, as_preprocess, size_of

for library in ("torchvision", "timm", "transformers"):
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"compares with {library}, which is not installed here", allow_module_level=True)


def declared() -> torch.library.Library:
    """Declare torchvision's operators, which its build for another torch cannot load; its transforms need none."""
    found = importlib.util.find_spec("torchvision")
    assert found is not None
    assert found.origin is not None
    text = (Path(found.origin).parent / "_meta_registrations.py").read_text()
    library = torch.library.Library("torchvision", "DEF")
    for name in sorted(set(re.findall(r'@(?:register_meta|[\w.]*register_fake)\("(?:torchvision::)?(\w+)"', text))):
        library.define(f"{name}(Tensor a) -> Tensor")
    return library


try:
    import torchvision
except RuntimeError:
    OPERATORS = declared()
    import torchvision  # noqa: F401

import timm
import transformers
from timm.data import create_transform, resolve_data_config
from torchvision import transforms as v1
from torchvision.models import ResNet50_Weights
from torchvision.transforms import v2

CAT = Image.fromarray(skimage.data.chelsea())
PROCESSORS = {
    "ViTImageProcessor": {},
    "CLIPImageProcessor": {},
    "ConvNextImageProcessor": {"size": {"shortest_edge": 224}, "crop_pct": 1.0},
    "EfficientNetImageProcessor": {"size": {"height": 224, "width": 224}},
    "BeitImageProcessor": {},
    "SiglipImageProcessor": {},
    "DeiTImageProcessor": {"size": {"height": 224, "width": 224}},
    "MobileNetV2ImageProcessor": {"size": {"shortest_edge": 224}},
}


def check(transform: Any, expected: Any, picture: Image.Image) -> None:
    got = as_preprocess(transform)(collect(picture, input_size=None, channels=3).images)[0]
    theirs = np.moveaxis(np.asarray(expected, dtype=np.float32).reshape(3, *got.shape[:2]), 0, -1)
    np.testing.assert_allclose(got, theirs, rtol=1e-5, atol=1e-6)


@pytest.fixture
def cat() -> Image.Image:
    return CAT.resize((224, 224), Image.Resampling.BICUBIC)


@pytest.mark.parametrize(
    "transform",
    [
        v1.Compose([v1.Resize((224, 224)), v1.CenterCrop(224), v1.ToTensor(), v1.Normalize(*[(0.4, 0.5, 0.6)] * 2)]),
        v1.Compose([v1.PILToTensor(), v1.ConvertImageDtype(torch.float32), v1.Normalize((0.5,), (0.5,))]),
        v1.Compose([v1.ToTensor(), v1.Compose([v1.Normalize((0.5,), (0.5,)), v1.Normalize((1, 2, 3), (4, 5, 6))])]),
        v2.Compose([v2.ToImage(), v2.RGB(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5], [0.2])]),
        v2.Compose([v2.PILToTensor(), v2.ToDtype(torch.float32), v2.Normalize([127.0], [128.0]), v2.ToPureTensor()]),
        v2.Compose([v2.ToImage(), v2.Identity()]),
        ResNet50_Weights.DEFAULT.transforms(crop_size=224, resize_size=224),
    ],
    ids=str,
)
def test_torchvision(transform: Any, cat: Image.Image) -> None:
    check(transform, transform(cat), cat)


def test_the_preset_of_published_weights() -> None:
    preset = ResNet50_Weights.DEFAULT.transforms()
    assert as_preprocess(preset) == NAMED["imagenet"]
    assert size_of(preset) == (224, 224)
    with pytest.raises(InputError, match="RandomErasing is not known"):
        as_preprocess(v1.Compose([v1.ToTensor(), v1.RandomErasing()]))


@pytest.mark.parametrize(
    "changes", [{}, {"crop_mode": "squash"}, {"crop_mode": "border"}, {"normalize": False}], ids=str
)
def test_timm(changes: dict[str, Any], cat: Image.Image) -> None:
    model = timm.create_model("resnet18", pretrained=False)
    config = {**resolve_data_config({}, model=model), "crop_pct": 1.0}
    transform = create_transform(**{**config, **changes})
    check(transform, transform(cat), cat)
    assert size_of(transform) == size_of(config) == (224, 224)
    check(config, create_transform(**config)(cat), cat)
    assert as_preprocess(model.pretrained_cfg) == NAMED["imagenet"]
    with pytest.raises(InputError, match="Random"):
        as_preprocess(create_transform(**config, is_training=True))


@pytest.mark.parametrize("backend", ["", "Pil"])
@pytest.mark.parametrize("name", PROCESSORS)
@pytest.mark.parametrize("changes", [{}, {"do_normalize": False}, {"do_rescale": False}], ids=str)
def test_transformers(name: str, backend: str, changes: dict[str, Any], cat: Image.Image) -> None:
    processor = getattr(transformers, name + backend)(**PROCESSORS[name], **changes)
    check(processor, processor(cat, return_tensors="np")["pixel_values"], cat)
    assert size_of(processor) == (224, 224)


def test_transformers_with_an_offset(cat: Image.Image) -> None:
    settings = {"rescale_offset": True, "include_top": False, "rescale_factor": 1 / 127.5}
    processor = transformers.EfficientNetImageProcessor(size={"height": 224, "width": 224}, **settings)
    check(processor, processor(cat, return_tensors="np")["pixel_values"], cat)
    with pytest.raises(InputError, match="MobileViTImageProcessor with do_flip_channel_order=True"):
        as_preprocess(transformers.MobileViTImageProcessor())


def test_fitting_equals_torchvision_where_the_geometry_is_the_same() -> None:
    for size in ((224, 224), (100, 140)):
        squashed = v1.Resize(size, v1.InterpolationMode.BICUBIC)(CAT)
        np.testing.assert_array_equal(
            collect(CAT, input_size=size, channels=3).images[0], np.asarray(squashed) / np.float32(255)
        )
    cropped = v1.CenterCrop(300)(CAT)  # the shorter side has this size already
    np.testing.assert_array_equal(
        collect(CAT, input_size=(300, 300), channels=3, fit="crop").images[0], np.asarray(cropped) / np.float32(255)
    )
    fitted = v1.CenterCrop(150)(v1.Resize(150, v1.InterpolationMode.BICUBIC)(CAT))
    ours = collect(CAT, input_size=(150, 150), channels=3, fit="crop").images[0]
    assert np.abs(ours - np.asarray(fitted) / np.float32(255)).mean() < 0.02  # they differ by half a pixel
