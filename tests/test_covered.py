"""Covered images against the plainest loop: one box a window, or several at once, on one to three axes."""

import numpy as np
import pytest

from eyeline.methods.covered import Covered


def made(space, together, count=7, images=3):
    random = np.random.default_rng(0)
    ground, patch = (random.random((images, *space, 2), dtype=np.float32) for _ in range(2))
    starts = random.integers(0, np.array(space) - 1, (count, *together, len(space)))
    stops = starts + random.integers(0, 4, starts.shape)
    boxes = np.stack([starts, np.minimum(stops, space)], axis=-1)
    return Covered(ground, patch, boxes, tuple(f"image {i}" for i in range(images)))


@pytest.mark.parametrize("space", [(9,), (8, 7), (5, 6, 4)])
@pytest.mark.parametrize("together", [(), (1,), (3,)])
def test_every_pixel_is_of_the_one_or_the_other(space, together):
    covered = made(space, together)
    positions = np.array([20, 0, 3, 3, 13])
    found = covered.images(positions)
    for image, position in zip(found, positions, strict=True):
        owner, window = divmod(position, 7)
        for pixel in np.ndindex(*space):
            boxes = covered.boxes[window].reshape(-1, len(space), 2)
            inside = any(all(low <= at < high for at, (low, high) in zip(pixel, box, strict=True)) for box in boxes)
            np.testing.assert_array_equal(image[pixel], (covered.patch if inside else covered.ground)[owner][pixel])


def test_the_ground_is_left_alone():
    covered = made((8, 7), ())
    before = covered.ground.copy()
    covered.images(np.arange(covered.total))[:] = -1
    np.testing.assert_array_equal(covered.ground, before)


def test_a_position_is_named_by_its_image_and_boxes():
    covered = Covered(np.zeros((2, 8, 8, 1), np.float32), np.zeros((2, 8, 8, 1), np.float32),
                      np.array([[[[0, 2], [1, 3]], [[4, 5], [6, 8]]]]), ("a.png", "b.png"))  # fmt: skip
    assert covered.where(1) == "'b.png', window 0: rows 0..1, columns 1..2; rows 4..4, columns 6..7"
    assert covered.total == 2


def test_windows_of_one_image():
    covered = made((8, 7), (2,))
    few = covered.of(2, np.array([5, 1]))
    np.testing.assert_array_equal(few.images(np.arange(2)), covered.images(np.array([19, 15])))
    assert few.names == ("image 2",)
