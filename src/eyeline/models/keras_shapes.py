"""Keras layers and operations that only lay the same numbers out anew."""

import math

from eyeline.incremental.graph import Flatten, GlobalMean, Unknown
from eyeline.models.keras_readings import BARE, LAST, Reading, theirs
from eyeline.models.torch_values import CHANNEL, FIRST, Value


def flatten(reading: Reading) -> Value | None:
    """Read `Flatten`, which puts the channels last."""
    source = reading.source
    if reading.layer.data_format == "channels_first" and source.order:
        first, channels, *space = source.order
        source = source._replace(order=(first, *space, channels))
    return _laid(reading.on(source), (math.prod(source.shape),))


def reshape(reading: Reading) -> Value | None:
    """Read the layer `Reshape`, whose shape leaves the images out."""
    wanted = reading.layer.target_shape
    rest = math.prod(each for each in wanted if each not in (-1, None))
    size = math.prod(reading.source.shape)
    return _laid(reading, tuple(size // rest if each in (-1, None) else int(each) for each in wanted))


def newshape(reading: Reading) -> Value | None:
    """Read the operation `reshape`, whose shape counts the images: their number must be left open."""
    wanted = reading.layer.newshape
    first, *others = wanted if isinstance(wanted, list | tuple) else [wanted]
    known = first in (-1, None) and all(isinstance(each, int) and each > 0 for each in others)
    return _laid(reading, tuple(others)) if known else None


def squeeze(reading: Reading) -> Value | None:
    """Read `squeeze`."""
    whole, given = theirs(reading.source, images=2), reading.layer.axis
    gone = {0} if given is None else set(reading.axes(given))
    return (
        None if 0 in gone else _laid(reading, tuple(whole[axis] for axis in range(1, len(whole)) if axis not in gone))
    )


def expand(reading: Reading) -> Value | None:
    """Read `expand_dims`."""
    given, left = reading.layer.axis, [*theirs(reading.source, images=2)]
    axes = [given] if isinstance(given, int) else list(given)
    rank = len(left) + len(axes)
    new = {axis % rank for axis in axes}
    shape = tuple(1 if axis in new else left.pop(0) for axis in range(rank))
    return None if 0 in new else _laid(reading, shape[1:])


def permute(reading: Reading) -> Value | None:
    """Read `Permute` and `transpose`: only the order changes."""
    layer = reading.layer
    axes = (0, *layer.dims) if hasattr(layer, "dims") else layer.axes
    return None if axes is None else reading.aten("permute", self=reading.source, dims=reading.axes(list(axes)))


def _laid(reading: Reading, shape: tuple[int, ...]) -> Value | None:
    """Read another shape of the same numbers, of each image: as it was, a vector, or a map of one pixel."""
    source = reading.source
    now = theirs(source, images=1)[1:]
    if shape == now:
        return source
    if math.prod(shape) != math.prod(now):
        return None
    if len(shape) == 1 and source.order in (FIRST, LAST, BARE):
        return reading.building.add(Flatten(raster=source.order != FIRST), (source,), shape, None)
    if source.order is not None and [each for each in now if each != 1] == [each for each in shape if each != 1]:
        return _moved(source, shape)
    if len(shape) != 3 or len(source.shape) != 1 or max(shape) != source.shape[0]:
        return None
    order = {0: FIRST, 1: (0, 1, CHANNEL, 2), 2: LAST}[shape.index(max(shape))]
    return _pixel(reading, (1, 1, source.shape[0]), order)


def _pixel(reading: Reading, shape: tuple[int, ...], order: tuple[int, ...]) -> Value:
    """Read a vector as a map of one pixel, which a mean over a map is from the start."""
    nodes = reading.building.nodes
    pooled = nodes[reading.source.place]
    if isinstance(pooled.operation, GlobalMean):
        (place,) = pooled.inputs
        source = Value(place, nodes[place].shape, order)
        return reading.building.add(GlobalMean(keep=True), (source,), shape, order)
    return reading.building.add(
        Unknown("Reshape", lambda _, data: data[:, None, None]), (reading.source,), shape, order
    )


def _moved(source: Value, shape: tuple[int, ...]) -> Value | None:
    """Read a map whose axes of length 1 stand elsewhere, or that gets or loses its channels' one: only the order."""
    assert source.order is not None
    long = [axis for axis in source.order[1:] if source.shape[axis - 1] > 1]
    short = [axis for axis in (1, 2, CHANNEL) if source.shape[axis - 1] == 1]
    if len(shape) == 2 and CHANNEL in short:
        short.remove(CHANNEL)
    wanted = [long.pop(0) if length > 1 else short.pop(0) if short else CHANNEL for length in shape]
    order = (0, *wanted)
    return Value(source.place, source.shape, order) if order == BARE or sorted(order) == [0, 1, 2, CHANNEL] else None
