"""Keras models of several inputs as one of rows that hold them all."""

from typing import Any

import keras

from eyeline.models.base import Options, running
from eyeline.models.keras import KerasModel, wrap_keras
from eyeline.models.several import Several, Shapes, starts, told


def several(model: Any, options: Options) -> Several:
    """Return a Keras 3 model of several inputs, named as they are."""

    def join(shapes: Shapes) -> KerasModel:
        *bounds, total = starts(shapes)
        rows = keras.Input((total, 1))
        parts = [
            keras.ops.reshape(rows[:, start:stop, 0], (-1, *shape))
            for start, stop, shape in zip(bounds, [*bounds[1:], total], shapes, strict=True)
        ]
        known = told(options, names, shapes)
        with running(known, (1, total, 1)):
            joined = keras.Model(rows, model(parts))
        return wrap_keras(joined, known)

    names = tuple(each.name for each in model.inputs)
    return Several(names, join)
