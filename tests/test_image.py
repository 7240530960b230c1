"""Files, PIL images, arrays and tensors become image space: decoding, fitting, refusals."""

import dataclasses
import io
import json
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import skimage.transform
import tifffile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageOps

from eyeline import _pictures, image
from eyeline.errors import InputError
from eyeline.image import Batch, Fit, collect, files, original

RNG = np.random.default_rng(7)
COLOUR = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (6, 9), dtype=np.uint8)


def native(given: object, channels: int | None = 3) -> Batch:
    return collect(given, input_size=None, channels=channels)


def png(levels: np.ndarray, transparent: bytes = b"") -> bytes:
    """A 16-bit PNG, written from its specification: the oracle for what Pillow cannot write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows, columns, channels = levels.shape
    header = struct.pack(">IIBBBBB", columns, rows, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    lines = b"".join(b"\0" + line.tobytes() for line in levels.astype(">u2").reshape(rows, -1))
    parts = [chunk(b"IHDR", header), chunk(b"tRNS", transparent)[: 10**6 if transparent else 0]]
    return b"\x89PNG\r\n\x1a\n" + b"".join([*parts, chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")])


# Files and PIL images: the numbers


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp", "ppm"])
def test_a_lossless_file_holds_its_levels_divided_by_255(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"picture.{suffix}"
    Image.fromarray(COLOUR).save(path, **({"lossless": True} if suffix == "webp" else {}))
    batch = native(path)
    assert batch.images.dtype == np.float32
    np.testing.assert_array_equal(batch.images, COLOUR[None] / np.float32(255))
    assert batch.names == (path.name,)
    assert batch.fits == (Fit("squash", (6, 9), ((0.0, 6.0), (0.0, 9.0))),)


def test_jpeg_equals_its_decoder(tmp_path: Path) -> None:
    path = tmp_path / "cat.JPG"
    Image.fromarray(skimage.data.chelsea()).save(path, quality=90)
    with Image.open(path) as decoded:
        np.testing.assert_array_equal(native(str(path)).images[0], np.asarray(decoded) / np.float32(255))


@pytest.mark.parametrize("suffix", ["gif", "tif", "webp", "png", "mpo"])
def test_the_first_of_several_frames(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"moving.{suffix}"
    shades = [Image.new("L", (5, 4), 51), Image.new("L", (5, 4), 204)]
    more = {"lossless": True} if suffix == "webp" else {}
    shades[0].save(path, save_all=True, append_images=shades[1:], **more)
    batch = native(path)
    np.testing.assert_allclose(batch.images, 0.2, atol=1e-6)
    assert batch.fits[0].notes[0] == "the first of 2 frames"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "tif", "png"])
def test_exif_rotation_equals_pillow(tmp_path: Path, orientation: int, suffix: str) -> None:
    path = tmp_path / f"turned.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(COLOUR).save(path, exif=exif)
    with Image.open(path) as stored:
        stored.load()
        upright = np.asarray(ImageOps.exif_transpose(stored)) / np.float32(255)
    batch = native(path)
    np.testing.assert_array_equal(batch.images[0], upright)
    assert batch.fits[0].original == upright.shape[:2] == ((9, 6) if orientation > 4 else (6, 9))


def test_damaged_exif_does_not_hide_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    Image.fromarray(COLOUR).save(path, exif=b"Exif\x00\x00nonsense")
    batch = native(path)
    np.testing.assert_array_equal(batch.images[0], COLOUR / np.float32(255))
    assert batch.fits[0].notes == ("EXIF data unreadable, not turned",)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "RGBa", "La"])
def test_transparent_parts_are_laid_over_white(mode: str) -> None:
    layered = Image.new("RGBA", (3, 1))
    for column, alpha in enumerate((0, 128, 255)):
        layered.putpixel((column, 0), (100, 100, 100, alpha))
    batch = native(layered.convert("LA").convert(mode) if mode == "La" else layered.convert(mode))
    expected = [1.0, (100 * 128 + 255 * 127) / 255 / 255, 100 / 255]
    np.testing.assert_allclose(batch.images[0, 0, :, 0], expected, atol=1.1 / 255)
    assert "transparent parts laid over white" in batch.fits[0].notes


@pytest.mark.parametrize(("mode", "clear"), [("L", 10), ("RGB", (10, 10, 10)), ("P", 0), ("1", 0)])
def test_a_transparent_colour_becomes_white(tmp_path: Path, mode: str, clear: object) -> None:
    path = tmp_path / "key.png"
    picture = Image.new("L", (2, 1), 10 if mode != "1" else 0)
    picture.putpixel((1, 0), 200 if mode != "1" else 255)
    if mode == "P":
        stored = Image.new("P", (2, 1))
        stored.putpalette([10, 10, 10, 200, 200, 200])
        stored.putpixel((1, 0), 1)
    else:
        stored = picture.convert(mode)
    stored.save(path, transparency=clear)
    seen = native(path).images[0, 0, :, 0]
    np.testing.assert_allclose(seen, [1, 1 if mode == "1" else 200 / 255], atol=1e-6)


def test_an_opaque_alpha_changes_nothing() -> None:
    batch = native(Image.fromarray(COLOUR).convert("RGBA"))
    np.testing.assert_array_equal(batch.images[0], COLOUR / np.float32(255))
    assert batch.fits[0].notes == ()


def test_palette_one_bit_cmyk_and_other_colour_spaces() -> None:
    picture = Image.fromarray(COLOUR)
    for mode in ("P", "1", "CMYK", "YCbCr", "HSV", "RGBX"):
        stored = picture.convert(mode)
        np.testing.assert_array_equal(native(stored).images[0], np.asarray(stored.convert("RGB")) / np.float32(255))
    assert native(picture.convert("CMYK")).fits[0].notes == ("CMYK to RGB without its colour profile",)


def test_grey_is_repeated_and_colour_becomes_luma() -> None:
    grey = native(Image.fromarray(GREY))
    np.testing.assert_array_equal(grey.images[0], np.repeat(GREY[..., None], 3, axis=-1) / np.float32(255))
    assert grey.fits[0].notes == ("grey repeated to RGB",)
    luma = native(Image.fromarray(COLOUR), channels=1)
    np.testing.assert_allclose(luma.images[0, ..., 0], COLOUR @ [0.299, 0.587, 0.114] / 255, atol=0.6 / 255)
    assert luma.fits[0].notes == ("RGB to grey (ITU-R 601 luma)",)
    np.testing.assert_array_equal(
        native(Image.fromarray(GREY).convert("RGB"), channels=1).images[0, ..., 0], GREY / np.float32(255)
    )
    assert native(Image.fromarray(GREY), channels=None).images.shape == (1, 6, 9, 3)


# 16 bits


@pytest.fixture
def deep() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 65536, (5, 7, 4), dtype=np.uint16)


def test_sixteen_bit_grey(tmp_path: Path, deep: np.ndarray) -> None:
    expected = deep[..., 0] / np.float32(65535)
    (tmp_path / "a.png").write_bytes(png(deep[..., :1]))
    for order in "<>":
        tifffile.imwrite(tmp_path / f"b{order}.tif", deep[..., 0], byteorder=order)
    tifffile.imwrite(tmp_path / "c.tif", 65535 - deep[..., 0], photometric="miniswhite")
    for path in files(tmp_path):
        batch = native(path, channels=1)
        np.testing.assert_allclose(batch.images[0, ..., 0], expected, atol=1e-7, err_msg=path.name)
        assert batch.fits[0].notes == ("16 bits a channel",)
    held = Image.fromarray(deep[..., 0])
    np.testing.assert_allclose(native(held).images[0, ..., 2], expected, atol=1e-7)


def test_sixteen_bit_grey_with_a_transparent_shade(tmp_path: Path, deep: np.ndarray) -> None:
    path = tmp_path / "key.png"
    path.write_bytes(png(deep[..., :1], transparent=struct.pack(">H", deep[1, 2, 0])))
    expected = deep[..., 0] / np.float32(65535)
    expected[1, 2] = 1
    np.testing.assert_allclose(native(path, channels=1).images[0, ..., 0], expected, atol=1e-7)


def save_deep_colour(folder: Path, deep: np.ndarray) -> None:
    (folder / "a.png").write_bytes(png(deep[..., :3]))
    for order in "<>":
        for packing in (None, "zlib"):
            name = folder / f"b{order}{packing}.tif"
            tifffile.imwrite(name, deep[..., :3], byteorder=order, compression=packing, photometric="rgb")


def test_sixteen_bit_colour_keeps_every_bit(tmp_path: Path, deep: np.ndarray) -> None:
    save_deep_colour(tmp_path, deep)
    for path in files(tmp_path):
        batch = native(path)
        np.testing.assert_allclose(batch.images[0], deep[..., :3] / np.float32(65535), atol=1e-7, err_msg=path.name)
        assert batch.fits[0].notes == ("16 bits a channel",)


def test_the_sixteen_bit_oracle_sees_lost_bits(
    tmp_path: Path, deep: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_pictures, "_LOW_BYTES", {"16L": "16L", "16B": "16B", "16N": "16N"})
    with pytest.raises(AssertionError, match="Not equal"):
        test_sixteen_bit_colour_keeps_every_bit(tmp_path, deep)


def test_sixteen_bit_colour_to_grey_and_over_white(tmp_path: Path, deep: np.ndarray) -> None:
    unit = deep / np.float64(65535)
    save_deep_colour(tmp_path, deep)
    for path in files(tmp_path):
        luma = native(path, channels=1).images[0, ..., 0]
        np.testing.assert_allclose(luma, unit[..., :3] @ [0.299, 0.587, 0.114], atol=1e-6)
    (tmp_path / "layered.png").write_bytes(png(deep))
    flat = unit[..., :3] * unit[..., 3:] + 1 - unit[..., 3:]
    batch = native(tmp_path / "layered.png")
    np.testing.assert_allclose(batch.images[0], flat, atol=1e-6)
    assert batch.fits[0].notes == ("16 bits a channel", "transparent parts laid over white")
    clear = struct.pack(">HHH", *deep[2, 3, :3])
    (tmp_path / "key.png").write_bytes(png(deep[..., :3], transparent=clear))
    seen = native(tmp_path / "key.png").images[0]
    np.testing.assert_allclose(seen[2, 3], 1)
    np.testing.assert_allclose(np.delete(seen.reshape(-1, 3), 2 * 7 + 3, 0).max(), 1, atol=0.05)
    np.testing.assert_allclose(seen[0], unit[0, :, :3], atol=1e-6)


def test_what_pillow_reads_of_other_deep_files_is_said(tmp_path: Path, deep: np.ndarray) -> None:
    path = tmp_path / "grey-and-alpha.png"
    deep[..., 1] = 65535
    path.write_bytes(png(deep[..., :2]))
    batch = native(path)
    np.testing.assert_allclose(batch.images[0, ..., 0], deep[..., 0] / 65535, atol=1 / 255)
    assert batch.fits[0].notes == ("16 bits a channel, of which Pillow reads the upper 8",)


def test_a_turned_sixteen_bit_file(tmp_path: Path, deep: np.ndarray) -> None:
    path = tmp_path / "turned.tif"
    extra = [(274, "H", 1, 6, True)]
    tifffile.imwrite(path, deep[..., :3], photometric="rgb", extratags=extra)
    np.testing.assert_allclose(native(path).images[0], np.rot90(deep[..., :3], -1) / np.float32(65535), atol=1e-7)


def test_floats_must_lie_within_the_unit(tmp_path: Path) -> None:
    path = tmp_path / "float.tif"
    unit = RNG.random((4, 5), dtype=np.float32)
    tifffile.imwrite(path, unit)
    np.testing.assert_array_equal(native(path, channels=1).images[0, ..., 0], unit)
    tifffile.imwrite(path, unit * 300)
    with pytest.raises(InputError, match=r"must say what white is.*'float\.tif' holds mode 'F'.*float array"):
        native(path)
    with pytest.raises(InputError, match=r"mode 'I' with values 3\.\.3"):
        native(Image.new("I", (2, 2), 3))


# Fitting


@pytest.mark.parametrize("channels", [1, 3])
def test_squash_is_one_antialiased_bicubic_resampling_of_pillow(channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = Image.fromarray(skimage.data.chelsea())
    expected = (picture if channels == 3 else picture.convert("L")).resize((50, 70), Image.Resampling.BICUBIC)
    calls: list[object] = []
    resize = Image.Image.resize
    monkeypatch.setattr(Image.Image, "resize", lambda self, *a: calls.append(a) or resize(self, *a))
    batch = collect(picture, input_size=(70, 50), channels=channels)
    assert len(calls) == channels
    np.testing.assert_array_equal(batch.images[0], np.asarray(expected).reshape(70, 50, channels) / np.float32(255))
    assert batch.fits == (Fit("squash", (300, 451), ((0, 300), (0, 451)), batch.fits[0].notes),)


def test_shrinking_leaves_no_moire() -> None:
    board = Image.fromarray(np.indices((64, 64)).sum(0).astype(np.uint8) % 2 * 255)
    inner = collect(board, input_size=(8, 8), channels=1).images[0, 1:-1, 1:-1]
    np.testing.assert_allclose(inner, 0.5, atol=0.01)


def test_crop_takes_whole_pixels_of_the_middle() -> None:
    picture = Image.fromarray(COLOUR)
    batch = collect(picture, input_size=(6, 6), channels=3, fit="crop")
    np.testing.assert_array_equal(batch.images[0], COLOUR[:, 2:8] / np.float32(255))
    assert batch.fits[0].box == ((0, 6), (2, 8))
    tall = collect(picture, input_size=(4, 1), channels=3, fit="crop")
    assert tall.fits[0].box == ((0, 6), (4, 6))


def test_pad_is_black_around_the_whole_picture() -> None:
    batch = collect(Image.new("RGB", (9, 6), "white"), input_size=(18, 18), channels=3, fit="pad")
    np.testing.assert_array_equal(batch.images[0, 3:15], 1)
    np.testing.assert_array_equal(batch.images[0, :3], 0)
    np.testing.assert_array_equal(batch.images[0, 15:], 0)
    assert batch.fits[0].box == ((-1.5, 7.5), (0, 9))
    thin = collect(Image.new("L", (1000, 1), "white"), input_size=(8, 8), channels=1, fit="pad")
    np.testing.assert_array_equal(thin.images[0, 3], 1)


def test_at_its_own_size_nothing_is_resampled() -> None:
    for fit in ("squash", "crop", "pad"):
        for size in (None, (6, 9)):
            batch = collect(Image.fromarray(COLOUR), input_size=size, channels=3, fit=fit)
            np.testing.assert_array_equal(batch.images[0], COLOUR / np.float32(255))
            assert batch.fits[0] == Fit(fit, (6, 9), ((0, 6), (0, 9)))


def check_box(rows: int, columns: int, size: tuple[int, int], fit: str) -> None:
    """A picture whose pixels hold their own row (column) shows through the box where the pixels come from."""
    for axis in (0, 1):
        ramp = np.indices((rows, columns))[axis].astype(np.float32) / 100
        batch = collect(Image.fromarray(ramp), input_size=size, channels=1, fit=fit)
        start, stop = batch.fits[0].box[axis]
        step = (stop - start) / size[axis]
        centres = start + (np.arange(size[axis]) + 0.5) * step - 0.5
        far = 2 * max(1, step) + 1  # beyond the reach of the filter at the picture's border
        inner = (centres > far) & (centres < (rows, columns)[axis] - 1 - far)
        low, high = batch.fits[0].box[1 - axis]
        seen = (max(low, 0) + min(high, (columns, rows)[axis])) / 2
        middle = int((seen - low) * size[1 - axis] / (high - low))
        line = np.moveaxis(batch.images[0, ..., 0], axis, 0)[:, middle]
        np.testing.assert_allclose(line[inner], centres[inner] / 100, atol=5e-4)  # a twentieth of a pixel


@given(
    st.integers(1, 60), st.integers(1, 60), st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from(["squash", "crop", "pad"]),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_the_box_says_where_the_pixels_come_from(rows: int, columns: int, size: tuple[int, int], fit: str) -> None:
    check_box(rows, columns, size, fit)


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
def test_the_box_oracle_sees_a_wrong_box(fit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    true = _pictures.Picture.fitted

    def shifted(self, size, mode):  # type: ignore[no-untyped-def]
        pixels, (by_row, by_column) = true(self, size, mode)
        return pixels, ((by_row[0] + 1, by_row[1] + 1), by_column)

    check_box(40, 50, (20, 30), fit)
    monkeypatch.setattr(_pictures.Picture, "fitted", shifted)
    with pytest.raises(AssertionError, match="Not equal"):
        check_box(40, 50, (20, 30), fit)


@given(arrays.arrays(np.uint16, (5, 6)), st.tuples(st.integers(1, 20), st.integers(1, 20)))
@settings(max_examples=50, deadline=None)
def test_files_stay_within_the_unit(levels: np.ndarray, size: tuple[int, int]) -> None:
    for picture in (Image.fromarray(levels), Image.fromarray((levels >> 8).astype(np.uint8))):
        fitted = collect(picture, input_size=size, channels=1).images
        assert fitted.min() >= 0
        assert fitted.max() <= 1


def test_deep_and_shallow_pictures_are_resampled_alike() -> None:
    grey = skimage.data.camera()
    deep = grey.astype(np.uint16) * 257
    shallow = collect(Image.fromarray(grey), input_size=(60, 80), channels=1).images
    np.testing.assert_allclose(
        collect(Image.fromarray(deep), input_size=(60, 80), channels=1).images, shallow, atol=3 / 255
    )


def test_fit_survives_json() -> None:
    fit = collect(Image.fromarray(GREY), input_size=(7, 7), channels=3, fit="pad").fits[0]
    assert fit.notes
    assert Fit.read(json.loads(json.dumps(dataclasses.asdict(fit)))) == fit
    assert Fit.read({"mode": "crop", "original": [6, 9], "box": [[0, 6], [1, 7]]}) == Fit(
        "crop", (6, 9), ((0, 6), (1, 7))
    )


def test_a_wrong_fit_is_refused() -> None:
    with pytest.raises(InputError, match=r"fit must be 'squash', 'crop' or 'pad', but got 'squish'.*mean 'squash'"):
        collect(np.zeros((2, 2)), input_size=None, fit="squish")  # type: ignore[arg-type]


# Arrays and tensors


@pytest.mark.parametrize(
    ("shape", "channels", "expected"),
    [
        ((4, 5), 1, (1, 4, 5, 1)),
        ((4, 5, 3), 3, (1, 4, 5, 3)),
        ((4, 5, 1), 1, (1, 4, 5, 1)),
        ((1, 4, 5, 3), 3, (1, 4, 5, 3)),
        ((7, 4, 5, 2), 2, (7, 4, 5, 2)),
        ((7, 4, 5), 1, (7, 4, 5, 1)),
        ((4, 5, 6), None, (1, 4, 5, 6)),
    ],
)
def test_arrays_are_channels_last(shape: tuple[int, ...], channels: int | None, expected: tuple[int, ...]) -> None:
    array = RNG.normal(size=shape).astype(np.float32) * 300
    batch = collect(array, input_size=(4, 5), channels=channels)
    np.testing.assert_array_equal(batch.images, array.reshape(expected))
    assert batch.names == tuple(f"image {i}" for i in range(expected[0]))
    assert batch.fits == (None,) * expected[0]


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_one_to_three_spatial_axes(axes: int) -> None:
    size = (4, 5, 6)[:axes]
    array = RNG.normal(size=(2, *size, 3)).astype(np.float32)
    np.testing.assert_array_equal(collect(array, input_size=size, axes=axes, channels=3).images, array)
    np.testing.assert_array_equal(collect(array[0], input_size=size, axes=axes, channels=3).images, array[:1])
    np.testing.assert_array_equal(
        collect(array[0, ..., 0], input_size=size, axes=axes, channels=1).images, array[:1, ..., :1]
    )
    first = torch.from_numpy(np.moveaxis(array, -1, 1).copy())
    np.testing.assert_array_equal(collect(first, input_size=size, axes=axes, channels=3).images, array)
    np.testing.assert_array_equal(collect(first[1], input_size=None, axes=axes, channels=3).images, array[1:])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, ">f4"])
def test_every_float_becomes_float32(dtype: str) -> None:
    array = RNG.random((4, 5, 3)).astype(dtype)
    images = native(array).images
    assert images.dtype == np.float32
    assert images.dtype.isnative
    assert images.flags.c_contiguous
    np.testing.assert_array_equal(images[0], array.astype(np.float32))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_float_tensor_becomes_float32(dtype: torch.dtype) -> None:
    tensor = torch.rand(3, 4, 5).to(dtype).requires_grad_()
    images = native(tensor).images
    np.testing.assert_array_equal(images[0], tensor.detach().float().permute(1, 2, 0).numpy())
    assert images.flags.c_contiguous


@pytest.mark.parametrize("dtype", ["u1", "i4", "i8", "u2", "?", "c8"])
def test_arrays_of_integers_are_refused(dtype: str) -> None:
    with pytest.raises(InputError, match=r"must be floats, but got an array of \w+ .*/ 255 .*astype\(np.float32\)"):
        native(np.zeros((4, 5, 3), dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
def test_tensors_of_integers_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(InputError, match=r"must be floats, but got a tensor of torch\.\w+ .*float\(\) / 255"):
        native(torch.zeros(3, 4, 5, dtype=dtype))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_pixels_that_are_not_finite_are_named(bad: float) -> None:
    array = np.zeros((2, 4, 5, 3))
    array[1, 2, 3, 1] = bad
    message = r"pixels must be finite, but got (nan|-?inf) \(image 3, position \(2, 3\), channel 1\)"
    with pytest.raises(InputError, match=message):
        native([np.zeros((2, 4, 5, 3)), array])
    with pytest.raises(InputError, match=message):
        native([np.zeros((2, 4, 5, 3)), torch.from_numpy(array).movedim(-1, 1)])


def test_arrays_are_not_resized() -> None:
    with pytest.raises(InputError, match=r"the model's size \(8, 8\), but got \(4, 5\).*taken as they are"):
        collect(np.zeros((4, 5, 3)), input_size=(8, 8), channels=3)
    with pytest.raises(InputError, match=r"the model's size \(5, 4\), but got \(4, 5\)"):
        collect(torch.zeros(3, 4, 5), input_size=(5, 4), channels=3)


def test_wrong_channels_say_what_the_shape_looks_like() -> None:
    with pytest.raises(InputError, match=r"must have 3 channels, but got 1 .*shape \(4, 5\)"):
        native(np.zeros((4, 5)))
    with pytest.raises(InputError, match=r"1 channels, but got 3"):
        native(np.zeros((4, 5, 3)), channels=1)
    with pytest.raises(InputError, match=r"channels first.*np\.moveaxis\(images, -3, -1\)"):
        collect(np.zeros((3, 4, 5)), input_size=(4, 5), channels=3)
    with pytest.raises(InputError, match=r"channels first.*np\.moveaxis\(images, -3, -1\)"):
        collect(np.zeros((2, 3, 4, 5)), input_size=(4, 5), channels=None)
    with pytest.raises(InputError, match=r"channels last.*torch\.movedim\(images, -1, -3\)"):
        collect(torch.zeros(2, 4, 5, 3), input_size=(4, 5), channels=3)
    with pytest.raises(InputError, match=r"channels last.*torch\.movedim\(images, -1, -2\)"):
        collect(torch.zeros(20, 3), input_size=None, axes=1, channels=3)


@pytest.mark.parametrize("shape", [(), (5,), (1, 2, 4, 5, 3)])
def test_other_numbers_of_axes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"array must have the shape \(rows, columns\), .*or \(n, rows"):
        native(np.zeros(shape))
    with pytest.raises(InputError, match=r"tensor of torch must have the shape \(channels, rows, columns\) or"):
        native(torch.zeros(shape))


def test_a_grey_tensor_needs_its_channel_axis() -> None:
    with pytest.raises(InputError, match=r"\(channels, rows, columns\).*images\[None\]"):
        native(torch.zeros(4, 5), channels=1)


def test_nothing_is_mutated_or_shared() -> None:
    array = RNG.random((4, 5, 3), dtype=np.float32)
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    picture = Image.fromarray(COLOUR[:4, :5])
    before = array.copy()
    batch = native([array, tensor, picture])
    kept = batch.images.copy()
    for each in (array, tensor, picture):
        lone = native(each)
        assert not np.shares_memory(lone.images, array)
        lone.images[:] = 9
    np.testing.assert_array_equal(array, before)
    np.testing.assert_array_equal(tensor.permute(1, 2, 0).numpy(), before)
    array[:], tensor[:] = 7, 7
    np.testing.assert_array_equal(batch.images, kept)
    np.testing.assert_array_equal(np.asarray(picture), COLOUR[:4, :5])


@given(
    st.lists(st.sampled_from(["array", "batch", "tensor", "pil", "file"]), min_size=1, max_size=6),
    st.integers(1, 4), st.integers(1, 4),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_mixed_lists_keep_their_order(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[str], rows: int, columns: int
) -> None:
    folder = tmp_path_factory.mktemp("mixed")
    held: list[object] = []
    expected: list[np.ndarray] = []
    names: list[str] = []
    for place, kind in enumerate(kinds):
        levels = np.random.default_rng(place).integers(0, 256, (2, rows, columns, 3), dtype=np.uint8)
        unit = levels[: 2 if kind == "batch" else 1] / np.float32(255)
        picture = Image.fromarray(levels[0])
        if kind == "file":
            picture.save(folder / f"{place}.png")
        held.append(
            {
                "array": unit[0], "batch": unit, "pil": picture, "file": folder / f"{place}.png",
                "tensor": torch.from_numpy(np.moveaxis(unit[0], -1, 0).copy()),
            }[kind]
        )  # fmt: skip
        names += [f"{place}.png"] if kind == "file" else [f"image {len(names) + i}" for i in range(len(unit))]
        expected.append(unit)
    batch = collect(held, input_size=(rows, columns), channels=3)
    np.testing.assert_array_equal(batch.images, np.concatenate(expected))
    assert batch.names == tuple(names)
    assert len(batch.fits) == len(names)


def test_other_arrays_are_channels_last() -> None:
    class Elsewhere:  # as the arrays of JAX and TensorFlow
        def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
            return np.ones((4, 5, 3), dtype=np.float32)

    assert native(Elsewhere()).images.shape == (1, 4, 5, 3)


def test_torch_is_not_imported() -> None:
    code = (
        "import sys, numpy as np; from eyeline.image import collect; "
        "collect(np.zeros((2, 2)), input_size=None, channels=1); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Folders, lists, and what is refused


def test_a_folder_gives_its_image_files_by_name(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "c.webp"):
        Image.fromarray(COLOUR).save(tmp_path / name)
    for name in ("labels.csv", ".hidden.png", "._b.png"):
        (tmp_path / name).write_text("not a picture")
    (tmp_path / "more.png").mkdir()
    assert native(tmp_path).names == ("a.JPG", "b.png", "c.webp")
    assert native([tmp_path / "c.webp", str(tmp_path)]).names == ("c.webp", "a.JPG", "b.png", "c.webp")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"folder must hold image files \(\.bmp, .*holds none"):
        native(tmp_path)
    with pytest.raises(InputError, match="folder must be readable"):
        files(tmp_path / "missing")


@pytest.mark.parametrize("nothing", [[], (), [[]], np.zeros((0, 4, 5, 3)), torch.zeros(0, 3, 4, 5)])
def test_nothing_is_refused(nothing: object) -> None:
    with pytest.raises(InputError, match=r"at least one (image|pixel)"):
        native(nothing)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must exist, but there is no file '.*cat.png'. Check the path"):
        native(tmp_path / "cat.png")


def test_a_name_is_shown_escaped(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        native(tmp_path / "evil\x1b[2J\n.png")
    assert "\x1b" not in str(caught.value)
    assert r"\x1b[2J\n" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\x89PNG\r\n\x1a\n"])
def test_not_an_image(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"must be (a PNG, JPEG|readable to its end).*'cat.png'"):
        native([path])


@pytest.mark.filterwarnings("ignore:Truncated File Read:UserWarning")  # Pillow's own, before its error
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "bmp", "gif"])
def test_a_truncated_image(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cat.{suffix}"
    Image.fromarray(skimage.data.chelsea()).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"(readable to its end|must be a PNG).*'cat\."):
        native(path)
    if suffix in ("png", "jpg", "bmp"):
        with Image.open(path) as held, pytest.raises(InputError, match=r"readable to its end.*'image 0'"):
            native(held)


@pytest.mark.parametrize("columns", [15, 25])
def test_a_decompression_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    path = tmp_path / "bomb.png"
    Image.new("L", (columns, 10)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # Pillow warns above it and refuses above twice that
    filters = list(warnings.filters)
    with pytest.raises(InputError, match=r"at most 100 pixels.*decompression.*'bomb.png'.*MAX_IMAGE_PIXELS"):
        native(path)
    assert Image.MAX_IMAGE_PIXELS == 100
    assert warnings.filters == filters


def test_the_limit_of_pillow_itself_is_used(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    Image.new("1", (10_000, 9_000)).save(path)
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match="at most 89478485 pixels"):
        native(path)


def test_pictures_of_several_sizes_need_a_model_size(tmp_path: Path) -> None:
    for name, size in (("a.png", (3, 4)), ("b.png", (5, 4))):
        Image.new("RGB", size).save(tmp_path / name)
    with pytest.raises(InputError, match=r"\(4, 3, 3\) \('a.png'\) and \(4, 5, 3\) \('b.png'\).*input_size="):
        native(tmp_path)
    assert collect(tmp_path, input_size=(2, 2), channels=3).images.shape == (2, 2, 2, 3)


def test_files_have_two_axes_and_one_or_three_channels() -> None:
    for axes, channels in ((2, 4), (1, 3), (3, 1)):
        with pytest.raises(InputError, match=r"2 spatial axes and 1 or 3 channels.*'image 0'.*Pass an array"):
            collect(Image.new("RGB", (2, 2)), input_size=None, axes=axes, channels=channels)
    with pytest.raises(InputError, match="takes 1 axis and any number of channels"):
        collect(Image.new("RGB", (2, 2)), input_size=None, axes=1)


@pytest.mark.parametrize("given", [3, None, {"a": 1}, [[0.1, 0.2]], io.BytesIO()])
def test_other_things_are_refused(given: object) -> None:
    with pytest.raises(InputError, match=r"must be a path, a PIL image, an array.*\(image 0\)"):
        native(given)


def test_the_original_for_drawing(tmp_path: Path, deep: np.ndarray) -> None:
    np.testing.assert_array_equal(original(Image.fromarray(COLOUR)), COLOUR)
    np.testing.assert_array_equal(original(Image.fromarray(GREY)), np.repeat(GREY[..., None], 3, -1))
    path = tmp_path / "deep.png"
    path.write_bytes(png(deep[..., :3]))
    np.testing.assert_array_equal(original(str(path)), np.rint(deep[..., :3] / 257).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(COLOUR).save(path, exif=exif)
    np.testing.assert_array_equal(original(path), np.rot90(COLOUR, -1))
    with pytest.raises(InputError, match="must exist"):
        original(tmp_path / "missing.png")


def test_the_formats_are_those_of_the_folder() -> None:
    known = Image.registered_extensions()
    assert {known[suffix] for suffix in image.SUFFIXES} == set(_pictures.FORMATS)
