"""Preprocessing: the affine step, its derivative, its names, and what is read from other libraries' transforms.

The transforms here are twins: classes with the names, modules and attributes of torchvision's, timm's and
transformers' own, whose calls do what their documentation says. The originals are compared in tests/peers.
"""

import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from eyeline import _transforms
from eyeline.errors import InputError
from eyeline.image import collect
from eyeline.preprocess import NAMED, Preprocess, as_preprocess, size_of

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CAT = Image.fromarray(skimage.data.chelsea()).resize((48, 40))
V1, V2 = "torchvision.transforms.transforms", "torchvision.transforms.v2._misc"


# The step itself


def random_preprocess(channels: int) -> st.SearchStrategy[Preprocess]:
    number = st.floats(-300, 300, allow_subnormal=False)
    positive = st.floats(0.01, 300)
    return st.builds(
        Preprocess,
        scale=positive,
        mean=st.lists(number, min_size=channels, max_size=channels).map(tuple),
        std=st.lists(positive, min_size=channels, max_size=channels).map(tuple),
    )


@given(st.data(), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_the_step_and_its_derivative(data: st.DataObject, channels: int) -> None:
    step = data.draw(random_preprocess(channels))
    images = data.draw(arrays.arrays(np.float32, (2, 3, 2, channels), elements=st.floats(0, 1, width=32)))
    before = images.copy()
    expected = (images.astype(np.float64) * step.scale - step.mean) / step.std
    got = step(images)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5 * (step.scale + 300) / min(step.std))
    assert got.dtype == np.float32
    np.testing.assert_array_equal(images, before)
    assert not np.shares_memory(got, images)

    leaf = torch.tensor(images, dtype=torch.float64, requires_grad=True)
    inputs = (leaf * step.scale - torch.tensor(step.mean)) / torch.tensor(step.std)
    inputs.retain_grad()
    (inputs**2).sum().backward()
    pulled = step.pull(inputs.grad.numpy().astype(np.float32))
    assert pulled.dtype == np.float32
    np.testing.assert_allclose(pulled, leaf.grad.numpy(), rtol=1e-4, atol=1e-6)


def test_the_named_ones() -> None:
    images = np.asarray(CAT, dtype=np.float32)[None] / 255
    levels = np.asarray(CAT, dtype=np.float64)[None]
    for name, expected in {
        "unit": levels / 255,
        "imagenet": (levels / 255 - MEAN) / STD,
        "lite0": (levels - 127) / 128,
        "raw": levels,
    }.items():
        np.testing.assert_allclose(as_preprocess(name)(images), expected, rtol=1e-5, atol=1e-5)
    assert set(NAMED) == {"unit", "imagenet", "lite0", "raw"}
    assert as_preprocess(None) == Preprocess() == NAMED["unit"]
    given = Preprocess(scale=3)
    assert as_preprocess(given) is given


def test_one_channel_and_other_axes() -> None:
    step = Preprocess(mean=(0.5,), std=(0.25,))
    for shape in ((1, 4, 5, 1), (2, 7, 3), (2, 3, 4, 5, 6)):
        np.testing.assert_array_equal(step(np.ones(shape, dtype=np.float32)), 2)
        np.testing.assert_array_equal(step.pull(np.ones(shape, dtype=np.float32)), 4)


def test_settings_are_plain_values() -> None:
    step = Preprocess(255, [127, 128, 129], np.float32(2))  # type: ignore[arg-type]
    assert step == Preprocess(255.0, (127.0, 128.0, 129.0), (2.0,))
    assert hash(step) == hash(pickle.loads(pickle.dumps(step)))
    assert eval(repr(step)) == step
    with pytest.raises(dataclasses.FrozenInstanceError):
        step.scale = 1.0  # type: ignore[misc]
    assert dataclasses.replace(step, layout="first").layout == "first"


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Preprocess(), "images as they are"),
        (Preprocess(layout="first"), "images as they are, channels first"),
        (NAMED["raw"], "raw: image * 255"),
        (NAMED["lite0"], "lite0: (image * 255 - 127) / 128"),
        (NAMED["imagenet"], "imagenet: (image - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)"),
        (Preprocess(std=(2.0,)), "image / 2"),
        (Preprocess(mean=(1.0,)), "image - 1"),
        (Preprocess(255, (0.0,), (2.0,), "last"), "(image * 255) / 2, channels last"),
    ],
)
def test_it_is_said_in_words(step: Preprocess, words: str) -> None:
    assert step.describe() == str(step) == words


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"std": (1.0, 0.0, 1.0)}, r"std must be positive, but got \(1.0, 0.0, 1.0\)"),
        ({"std": (-1.0,)}, "std must be positive"),
        ({"std": ()}, "std must be positive"),
        ({"mean": ()}, "one number, or one per channel, but got 0 and 1"),
        ({"mean": (1.0, 2.0), "std": (1.0, 2.0, 3.0)}, "one number, or one per channel, but got 2 and 3"),
        ({"mean": (float("nan"),)}, "must be finite"),
        ({"std": (float("inf"),)}, "must be finite"),
        ({"scale": 0}, "scale not 0"),
        ({"scale": "x"}, "scale must be one number, but got 'x'"),
        ({"scale": (1, 2)}, "scale must be one number"),
        ({"mean": "x"}, "mean must be one number, or one per channel, but got 'x'"),
        ({"mean": None}, "mean must be one number, or one per channel, but got None"),
        ({"mean": "123"}, "mean must be one number"),
        ({"std": [[1.0, 2.0]]}, "std must be one number, or one per channel"),
        ({"layout": "nchw"}, r"layout must be 'auto', 'first' or 'last', but got 'nchw'\. Known"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Preprocess(**settings)


def test_another_number_of_channels_is_refused() -> None:
    for call in (NAMED["imagenet"], NAMED["imagenet"].pull):
        with pytest.raises(InputError, match=r"one per channel \(1\), but got 3.*images of 3 channels"):
            call(np.zeros((1, 4, 4, 1), dtype=np.float32))


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(InputError, match=r"one of 'unit', .* but got 'image-net'\. Did you mean 'imagenet'\?"):
        as_preprocess("image-net")


# Transforms


def twin(module: str, name: str, call: Callable[[Any], Any] = lambda value: value, **attributes: Any) -> Any:
    """An object that looks like another library's step, and does what it does."""
    kind = type(name, (), {"__module__": module, "__call__": lambda self, value: call(value)})
    made = kind()
    vars(made).update(attributes)
    return made


def levels(picture: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)


def to_float(value: torch.Tensor) -> torch.Tensor:
    return value if value.is_floating_point() else value.float() / 255


def normalise(module: str = V1, mean: Any = MEAN, std: Any = STD) -> Any:
    columns = [torch.as_tensor(each, dtype=torch.float32).reshape(-1, 1, 1) for each in (mean, std)]
    return twin(module, "Normalize", lambda v: (v - columns[0]) / columns[1], mean=mean, std=std, inplace=False)


def compose(*steps: Any, module: str = V1) -> Any:
    def run(value: Any) -> Any:
        for step in steps:
            value = step(value)
        return value

    return twin(module, "Compose", run, transforms=list(steps))


TO_TENSOR = twin(V1, "ToTensor", lambda picture: to_float(levels(picture)))
TO_LEVELS = twin(V1, "PILToTensor", levels)
RESIZE = twin(V1, "Resize", lambda picture: picture.resize((48, 40)), size=(40, 48))
SCALED = twin(V2, "ToDtype", to_float, dtype=torch.float32, scale=True)
UNSCALED = twin(V2, "ToDtype", lambda v: v.float(), dtype=torch.float32, scale=False)
TRANSFORMS = {
    "first generation": compose(RESIZE, TO_TENSOR, normalise()),
    "converted": compose(TO_LEVELS, twin(V1, "ConvertImageDtype", to_float, dtype=torch.float32), normalise()),
    "one number": compose(TO_TENSOR, normalise(mean=[0.5], std=[0.5])),
    "second generation": compose(
        twin(V2, "ToImage", levels), SCALED, normalise(V2), twin(V2, "ToPureTensor"), module=V2
    ),
    "floats of 0..255": compose(TO_LEVELS, UNSCALED, normalise(V2, (127,) * 3, (128,) * 3)),
    "scaled once only": compose(TO_TENSOR, SCALED, UNSCALED),
    "levels": compose(TO_LEVELS),
    "nested, twice": compose(TO_TENSOR, compose(normalise(), normalise(mean=(0.1, 0.2, 0.3), std=(2, 3, 4)))),
    "timm": compose(
        twin("timm.data.transforms", "MaybeToTensor", TO_TENSOR),
        normalise(mean=torch.tensor(MEAN), std=torch.tensor(STD)),
    ),
    "preset": twin(
        "torchvision.transforms._presets", "ImageClassification", compose(TO_TENSOR, normalise()),
        mean=list(MEAN), std=list(STD), crop_size=[40], resize_size=[46],
    ),
}  # fmt: skip


def check_numbers(transform: Any) -> None:
    expected = transform(CAT).permute(1, 2, 0).numpy()
    got = as_preprocess(transform)(collect(CAT, input_size=None, channels=3).images)[0]
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_transform_gives_its_own_numbers(name: str) -> None:
    check_numbers(TRANSFORMS[name])


def test_the_oracle_sees_a_wrong_order(monkeypatch: pytest.MonkeyPatch) -> None:
    def added(self: Any, mean: Any, std: Any) -> Any:
        return dataclasses.replace(self, mean=tuple(np.add(self.mean, mean)), std=tuple(np.multiply(self.std, std)))

    monkeypatch.setattr(_transforms._Numbers, "normalised", added)
    with pytest.raises(AssertionError, match="Not equal"):
        check_numbers(TRANSFORMS["nested, twice"])


def test_float32_numbers_are_read_as_they_were_written() -> None:
    assert as_preprocess(TRANSFORMS["timm"]) == NAMED["imagenet"]


def test_modules_in_sequence() -> None:
    class Normalize(torch.nn.Module):
        mean, std = MEAN, STD

    class ConvertImageDtype(torch.nn.Module):
        dtype = torch.float32

    Normalize.__module__ = ConvertImageDtype.__module__ = V1
    assert as_preprocess(torch.nn.Sequential(ConvertImageDtype(), Normalize())) == NAMED["imagenet"]


def refused(transform: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        as_preprocess(transform)
    assert "Pass Preprocess(scale=, mean=, std=)" in str(caught.value)


def test_what_is_not_known_is_refused_by_name() -> None:
    refused(compose(TO_TENSOR, twin(V1, "RandomErasing")), r"RandomErasing is not known \(step 2 of Compose")
    refused(compose(twin(V1, "Grayscale"), TO_TENSOR), "Grayscale is not known")
    refused(compose(TO_TENSOR, twin("mine.transforms", "Normalize")), "Normalize is not known .*mine.transforms")
    refused(twin("albumentations.core", "Compose", transforms=[]), "Compose is not known .*albumentations")
    refused(twin("timm.data.transforms", "ToTensor"), "ToTensor is not known")  # which does not scale
    refused(lambda picture: picture, "function is not known")
    refused(3.5, "float is not known")
    refused({"input_size": (3, 4, 4)}, "dict is not known")


def test_what_cannot_be_followed_is_refused() -> None:
    refused(compose(TO_LEVELS, normalise()), "Normalize comes before the pixels are floats .step 2")
    refused(compose(RESIZE), "Compose does not make a tensor")
    refused(compose(), "Compose does not make a tensor")
    integers = twin(V2, "ToDtype", dtype=torch.uint8, scale=True)
    refused(compose(TO_TENSOR, integers), r"ToDtype makes torch.uint8, not floats")
    refused(compose(TO_LEVELS, twin(V2, "ToDtype", dtype={torch.Tensor: torch.float32}, scale=True)), "not floats")


# timm's data config, transformers' image processors


def test_a_data_config_of_timm() -> None:
    config = {"input_size": (3, 160, 224), "mean": MEAN, "std": STD, "crop_pct": 0.95, "interpolation": "bicubic"}
    assert as_preprocess(config) == NAMED["imagenet"]
    assert size_of(config) == (160, 224)
    assert size_of({"mean": MEAN, "std": STD}) is None


PROCESSOR = {
    "do_resize": True, "size": {"height": 40, "width": 48}, "do_center_crop": None, "do_rescale": True,
    "rescale_factor": 0.00392156862745098, "do_normalize": True, "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.1, 0.2, 0.3], "do_convert_rgb": True, "resample": 3,
}  # fmt: skip


def processor(**changes: Any) -> Any:
    given = {**PROCESSOR, **changes}
    return twin("transformers.models.some.image_processing", "SomeImageProcessor", to_dict=lambda: given, **given)


def processed(settings: dict[str, Any]) -> np.ndarray:
    """What the base class of the processors documents: rescale, then normalise."""
    value = np.asarray(CAT, dtype=np.float64)
    if settings["do_rescale"]:
        value = value * settings["rescale_factor"] - (1 if settings.get("rescale_offset") else 0)
    if settings["do_normalize"]:
        value = (value - settings["image_mean"]) / settings["image_std"]
    return value / settings["image_std"] if settings.get("include_top") else value


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"do_normalize": None},
        {"do_rescale": False},
        {"rescale_factor": 1 / 127.5, "rescale_offset": True},
        {"include_top": True},
        {"image_mean": 0.5, "image_std": 0.25},
    ],
)
def test_an_image_processor_of_transformers(changes: dict[str, Any]) -> None:
    images = collect(CAT, input_size=None, channels=3).images
    for transform in (processor(**changes), twin("transformers", "Both", image_processor=processor(**changes))):
        expected = processed({**PROCESSOR, **changes})
        np.testing.assert_allclose(as_preprocess(transform)(images)[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("flag", ["do_flip_channel_order", "do_grayscale", "do_pad", "do_thumbnail", "offset"])
def test_a_processor_that_does_more_is_refused(flag: str) -> None:
    refused(processor(**{flag: True}), f"SomeImageProcessor with {flag}=True")
    assert as_preprocess(processor(**{flag: False})) == as_preprocess(processor())


# Sizes

KEPT = twin("timm.data", "ResizeKeepRatio", size=(9, 9))


@pytest.mark.parametrize(
    ("transform", "size"),
    [
        (compose(twin(V1, "Resize", size=256), twin(V1, "CenterCrop", size=(224, 200)), TO_TENSOR), (224, 200)),
        (compose(twin(V1, "Resize", size=256), TO_TENSOR), None),
        (compose(twin(V1, "Resize", size=[256]), TO_TENSOR), None),
        (compose(twin(V2, "Resize", size=None), TO_TENSOR), None),
        (compose(twin(V2, "Resize", size=[30, 40]), TO_TENSOR, normalise()), (30, 40)),
        (compose(compose(twin(V1, "CenterCrop", size=50)), twin(V1, "Resize", size=20)), None),
        (compose(KEPT, twin("timm.data", "CenterCropOrPad", size=(8, 9))), (8, 9)),
        (compose(KEPT), None),
        (compose(twin("mine", "Resize", size=(3, 3))), None),
        (TRANSFORMS["preset"], (40, 40)),
        (processor(), (40, 48)),
        (processor(do_resize=False), None),
        (processor(size={"shortest_edge": 256}), None),
        (processor(size=224), (224, 224)),
        (processor(do_center_crop=True, crop_size={"height": 20, "width": 30}), (20, 30)),
        (processor(size={"shortest_edge": 224}, crop_pct=0.875), (224, 224)),
        (None, None),
        ("imagenet", None),
        (Preprocess(), None),
        (len, None),
    ],
)  # fmt: skip
def test_the_size_that_a_transform_makes(transform: Any, size: tuple[int, int] | None) -> None:
    assert size_of(transform) == size
