"""Which Keras layers the incremental engine knows, and how each is read; one function a kind, one table."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from eyeline.incremental.geometry import Geometry
from eyeline.incremental.graph import Affine, AveragePool, Conv, Flatten, LayerNorm, MaxPool, Pad
from eyeline.models import keras_elementwise, keras_shapes
from eyeline.models.keras_elementwise import activated, combine
from eyeline.models.keras_readings import BARE, ENTRY, LAST, Adding, Reading, geometries, setting, theirs
from eyeline.models.keras_walk import Held, Step, dtype, kind, library
from eyeline.models.torch_values import Value


def recognise(building: Adding, step: Step, held: Held) -> Value | None:
    """Return the value of a layer's call that the engine knows, or None."""
    name = kind(step.layer)
    read = TABLE.get(name)
    others = {key: each for key, each in step.kwargs.items() if each is not None}
    if library(step.layer) == "keras" or others.get("training") is False:
        others.pop("training", None)  # in Keras 3 the model's word counts, in tf_keras the layer's
    if read is None or others:
        return None
    symbolic = list(step.args[0]) if len(step.args) == 1 and isinstance(step.args[0], list | tuple) else list(step.args)
    inputs = [held.get(id(each), each) for each in symbolic]
    values = [each for each in inputs if isinstance(each, Value)]
    if name.startswith("layers.") and len(values) != len(inputs):
        return None
    if not values or len(step.outputs) != 1 or dtype(step.outputs[0]) != "float32":
        return None
    for each, tensor in zip(inputs, symbolic, strict=True):
        if not isinstance(each, Value):
            continue
        if dtype(tensor) != "float32" and not (name in CASTING and each.place == ENTRY):
            return None
        if (name not in UNDIRECTED) if each.order == BARE else each.channel is None:
            return None
    return read(Reading(building, step.layer, inputs))


def _conv(reading: Reading) -> Value | None:
    layer = reading.layer
    return activated(reading, _convolved(reading, layer.kernel, layer.groups), layer.activation)


def _depthwise(reading: Reading) -> Value | None:
    layer = reading.layer
    kernel = layer.depthwise_kernel if hasattr(layer, "depthwise_kernel") else layer.kernel
    return activated(reading, _convolved(reading, kernel, None), layer.activation)


def _separable(reading: Reading) -> Value | None:
    layer = reading.layer
    middle = _convolved(reading, layer.depthwise_kernel, None, biased=False)
    if middle is None:
        return None
    weight = reading.building.numbers(layer.pointwise_kernel).permute(3, 2, 0, 1).contiguous()
    conv = Conv(weight, reading.tensor(layer.bias), (Geometry(), Geometry()))
    return activated(reading, reading.slid(conv, len(weight), middle), layer.activation)


def _convolved(reading: Reading, kernel: Any, groups: int | None, biased: bool = True) -> Value | None:
    """Add a convolution of (rows, columns, inputs / groups, outputs), or (rows, columns, inputs, outputs each)."""
    layer, weight = reading.layer, reading.building.numbers(kernel)
    if not reading.fits or weight.ndim != 4:
        return None
    if groups is None:
        groups = weight.shape[2]
        weight = weight.reshape(*weight.shape[:2], 1, -1)
    weight = weight.permute(3, 2, 0, 1).contiguous()
    sides = geometries(reading, weight.shape[2:], layer.strides, layer.dilation_rate)
    if sides is None or weight.shape[1] * groups != reading.source.shape[2]:
        return None
    bias = reading.tensor(layer.bias) if biased else None
    return reading.slid(Conv(weight, bias, sides, groups), len(weight))


def _dense(reading: Reading) -> Value | None:
    weight, bias = reading.building.numbers(reading.layer.kernel).T, reading.tensor(reading.layer.bias)
    if weight.shape[1] != reading.source.shape[-1]:
        return None
    found = reading.aten("linear", input=reading.source, weight=weight.contiguous(), bias=bias)
    return activated(reading, found, reading.layer.activation)


def _max_pool(reading: Reading) -> Value | None:
    layer = reading.layer
    sides = geometries(reading, layer.pool_size, layer.strides) if reading.fits else None
    return None if sides is None else reading.slid(MaxPool(sides), reading.source.shape[2])


def _average_pool(reading: Reading) -> Value | None:
    layer = reading.layer
    sides = geometries(reading, layer.pool_size, layer.strides) if reading.fits else None
    if sides is None:
        return None
    uneven = any(each.before != each.after for each in sides)
    if uneven and reading.building.backend == "torch" and any(each.after and each.kernel != 2 for each in sides):
        return None  # Keras on torch then repeats the map's border and counts it; for two taps that changes nothing
    return reading.slid(AveragePool(sides, count_padding=False), reading.source.shape[2])


def _global_mean(reading: Reading) -> Value | None:
    axes = (1, 2) if reading.layer.data_format == "channels_last" else (2, 3)
    return reading.aten("mean", self=reading.source, dim=axes, keepdim=reading.layer.keepdims)


def _mean(reading: Reading) -> Value | None:
    axes = None if reading.layer.axis is None else reading.axes(reading.layer.axis)
    return reading.aten("mean", self=reading.source, dim=axes, keepdim=reading.layer.keepdims)


def _global_max(reading: Reading) -> Value | None:
    if not reading.fits:
        return None
    rows, columns, channels = reading.source.shape
    found = reading.slid(MaxPool((Geometry(rows, rows), Geometry(columns, columns))), channels)
    if found is None or reading.layer.keepdims:
        return found
    return reading.building.add(Flatten(raster=True), (found,), (channels,), None)


def _padded(sign: int, reading: Reading) -> Value | None:
    sides = reading.layer.padding if sign > 0 else reading.layer.cropping
    rows, columns = (Geometry(before=sign * int(before), after=sign * int(after)) for before, after in sides)
    return reading.slid(Pad((rows, columns)), reading.source.shape[2]) if reading.fits else None


def _rescaling(reading: Reading) -> Value | None:
    scale, offset = np.asarray(reading.layer.scale), np.asarray(reading.layer.offset)
    if (
        scale.ndim
        and library(reading.layer) == "keras"
        and setting(reading.layer, "image_data_format") == "channels_first"
    ):
        scale = scale.reshape(*scale.shape, *[1] * (3 - scale.ndim))
    return _in_turn(reading, mul=scale, add=offset)


def _normalization(reading: Reading) -> Value | None:
    mean, variance = (reading.building.numbers(each) for each in (reading.layer.mean, reading.layer.variance))
    spread = variance.sqrt().clamp(min=setting(reading.layer, "epsilon"))
    return _in_turn(reading, mul=spread, add=mean) if reading.layer.invert else _in_turn(reading, sub=mean, div=spread)


def _in_turn(reading: Reading, **steps: Any) -> Value | None:
    """Combine the source with constants, one after the other."""
    found: Value | None = reading.source
    bare = reading.source.order == BARE
    if bare:
        found = reading.source._replace(order=LAST)
    for name, constant in steps.items():
        if found is None or (bare and np.size(constant) != 1):
            return None
        found = combine(name, reading, found, constant)
    return found._replace(order=BARE) if bare and found is not None else found


def _batch_norm(reading: Reading) -> Value | None:
    layer = reading.layer
    if reading.axes(layer.axis) != [reading.source.channel]:
        return None
    mean, variance, weight, bias = (
        None if each is None else reading.building.numbers(each).double()
        for each in (layer.moving_mean, layer.moving_variance, layer.gamma, layer.beta)
    )
    assert mean is not None
    assert variance is not None
    scale = (variance + layer.epsilon).rsqrt() * (1 if weight is None else weight)
    shift = (0 if bias is None else bias) - mean * scale
    return reading.same(Affine(scale.float(), shift.float()))


def _layer_norm(reading: Reading) -> Value | None:
    layer, channel = reading.layer, reading.source.channel
    if reading.axes(layer.axis) != [channel] or getattr(layer, "rms_scaling", False):
        return None
    if reading.building.backend == "torch" and channel != len(theirs(reading.source, images=1)) - 1:
        return None  # Keras on torch normalises over the last axis, whichever was asked for
    return reading.same(LayerNorm(reading.tensor(layer.gamma), reading.tensor(layer.beta), float(layer.epsilon)))


def _concatenate(reading: Reading) -> Value | None:
    (axis,) = reading.axes(reading.layer.axis)
    return reading.aten("concat", tensors=reading.inputs, dim=axis)


def _same(reading: Reading) -> Value | None:
    return reading.source


IDENTITIES = {
    "layers.ActivityRegularization", "layers.AlphaDropout", "layers.Dropout", "layers.GaussianDropout",
    "layers.GaussianNoise", "layers.Identity", "layers.RandomBrightness", "layers.RandomContrast", "layers.RandomFlip",
    "layers.RandomRotation", "layers.RandomShear", "layers.RandomTranslation", "layers.RandomZoom",
    "layers.SpatialDropout2D", "ops.Cast", "ops.StopGradient",
}  # fmt: skip
"""What hands its input on outside of training, but for the kind of numbers."""

CASTING = {*IDENTITIES, "layers.Normalization", "layers.Rescaling"}
"""What takes whole numbers and gives others."""

UNDIRECTED = {*CASTING, "layers.Flatten", "layers.Reshape", "ops.ExpandDims", "ops.Reshape"}
"""What can be read without an axis for the channels."""

TABLE: dict[str, Callable[[Reading], Value | None]] = {
    **keras_elementwise.TABLE,
    **dict.fromkeys(IDENTITIES, _same),
    "layers.AveragePooling2D": _average_pool,
    "layers.BatchNormalization": _batch_norm,
    "layers.Concatenate": _concatenate,
    "layers.Conv2D": _conv,
    "layers.Cropping2D": partial(_padded, -1),
    "layers.Dense": _dense,
    "layers.DepthwiseConv2D": _depthwise,
    "layers.Flatten": keras_shapes.flatten,
    "layers.GlobalAveragePooling2D": _global_mean,
    "layers.GlobalMaxPooling2D": _global_max,
    "layers.LayerNormalization": _layer_norm,
    "layers.MaxPooling2D": _max_pool,
    "layers.Normalization": _normalization,
    "layers.Permute": keras_shapes.permute,
    "layers.Rescaling": _rescaling,
    "layers.Reshape": keras_shapes.reshape,
    "layers.SeparableConv2D": _separable,
    "layers.ZeroPadding2D": partial(_padded, 1),
    "ops.Concatenate": _concatenate,
    "ops.ExpandDims": keras_shapes.expand,
    "ops.Mean": _mean,
    "ops.Reshape": keras_shapes.newshape,
    "ops.Squeeze": keras_shapes.squeeze,
    "ops.Transpose": keras_shapes.permute,
}
"""`keras_walk.kind` of a layer or operation -> how it is read; one that returns None is carried as unknown."""
