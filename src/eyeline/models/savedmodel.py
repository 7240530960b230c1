"""TensorFlow SavedModel folders, as `model.save(folder)` of Keras 2 and `model.export(folder)` of Keras 3 write them.

What comes back from a folder is a set of compiled functions: no layers, but gradients.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import numpy as np

from eyeline._typing import Images, Scores, Weigh
from eyeline.attribution import Unit
from eyeline.errors import InputError, ModelError, UnsupportedError, first_line, nearest, require
from eyeline.models import savedmodel_scan
from eyeline.models.base import Options, check_classes, check_device, running
from eyeline.models.keras_input import agrees
from eyeline.models.keras_passes import graph_passes, pulled

SIGNATURE = "serving_default"
"""The function that every writer of SavedModels gives the whole network."""


@final
class SavedModel:
    """A function of a SavedModel that maps one input of images to scores.

    Args:
        folder: the loaded folder; held, as its variables live as long as it does.
        function: tensor -> structure of tensors.
        spec: the input's shape and dtype.
        options: what `load` was told.
    """

    def __init__(self, folder: Any, function: Callable[[Any], Any], spec: Any, options: Options) -> None:
        self._folder, self._options, self._spec = folder, options, spec
        self._first = options.preprocess.layout == "first"
        self.input_size, self.axes, self.channels = _geometry(spec, self._first, options)
        self._output = options.scaled()
        self._passes = graph_passes(function, options.head)
        self.fit = options.fit
        self.classes = options.classes

    @property
    def unit(self) -> Unit | None:
        """Unit of the scores."""
        return self._output.unit

    def scores(self, images: Images) -> Scores:
        """Return one row of scores per image."""
        with running(self._options, images.shape):
            raw = self._passes.forward(self._inputs(images))
        check_classes(self.classes, raw.shape[1])
        return self._output.convert(raw)

    def gradient(self, images: Images, weigh: Weigh) -> tuple[Scores, Images]:
        """Return the scores and the gradient in image space, from one pass forward and one back.

        Raises:
            UnsupportedError: no gradient reaches the images, as where the network takes integers.
        """
        inputs = self._inputs(images)
        scores, gradients = pulled(self._passes.gradient, inputs, weigh, self._output, self._options)
        return scores, self._options.preprocess.pull(np.moveaxis(gradients, 1, -1) if self._first else gradients)

    def _inputs(self, images: Images) -> np.ndarray:
        values = self._options.preprocess(images)
        return np.ascontiguousarray(np.moveaxis(values, -1, 1)) if self._first else values

    def describe(self) -> dict[str, str]:
        """Say what was assumed."""
        import tensorflow as tf

        return {
            "framework": f"SavedModel on tensorflow {tf.__version__}",
            "name": self._options.name,
            "device": self._options.device or "TensorFlow's choice",
            "dtype": self._spec.dtype.name,
            "layout": f"channels {'first' if self._first else 'last'}",
            "preprocess": self._options.preprocess.describe(),
            "output": self._output.describe(),
        }


def open_savedmodel(path: Path, options: Options) -> SavedModel:
    """Open a SavedModel folder; its graph is looked through before, unless `trust` is set.

    Raises:
        ModelError: not such a folder, or one that could do more than compute.
        UnsupportedError: it takes several inputs, or none that is an image.
        MissingDependencyError: TensorFlow is missing.
        InputError: no such device here.
    """
    if not (path / "saved_model.pb").is_file():
        raise ModelError(
            f"the model folder must be a TensorFlow SavedModel, with saved_model.pb in it, but got {str(path)!r}. "
            "Pass the folder that model.save or model.export wrote."
        )
    tf = require("tensorflow", "tensorflow")
    if options.device is not None:
        check_device(options.device, tf.device, tf.zeros)
    try:
        if not options.trust:
            savedmodel_scan.scan(path)
        with tf.device(options.device):
            folder = tf.saved_model.load(str(path))
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"the model folder must be a SavedModel that TensorFlow {tf.__version__} can read, but {str(path)!r} is "
            f"not ({type(error).__name__}: {first_line(error)}). Save the model again."
        ) from error
    return _serving(folder, options)


def _serving(folder: Any, options: Options) -> SavedModel:
    import tensorflow as tf

    signatures = folder.signatures
    if SIGNATURE not in signatures:
        known = nearest(SIGNATURE, signatures) if signatures else "It has no signatures at all."
        raise UnsupportedError(
            f"a SavedModel must have the signature {SIGNATURE!r}, but {options.name} has none. {known} Save it with "
            "signatures={'serving_default': function}."
        )
    signature = signatures[SIGNATURE]
    specs = signature.structured_input_signature[1]
    if len(specs) != 1:
        raise UnsupportedError(
            f"{options.name} must take one input, but it takes {len(specs)}: {', '.join(sorted(specs))}. Pass a "
            "function that fills in the others: lambda images: signature(image=images, other=...)."
        )
    ((name, spec),) = specs.items()

    def function(images: Any) -> Any:
        return signature(**{name: tf.cast(images, spec.dtype)})

    return SavedModel(folder, function, spec, options)


def _geometry(spec: Any, first: bool, options: Options) -> tuple[tuple[int, ...] | None, int, int | None]:
    if spec.shape.rank is None:
        asked = options.size()
        return asked, len(asked or (0, 0)), None
    shape = tuple(spec.shape)
    if not 3 <= len(shape) <= 5:
        raise UnsupportedError(
            f"{options.name} must take images (n, *space, channels) with one to three spatial axes, but its input has "
            f"shape {shape}. Pass a function that takes images."
        )
    space, channels = (shape[2:], shape[1]) if first else (shape[1:-1], shape[-1])
    asked = options.size(len(space))
    if asked is not None and not agrees(space, asked):
        raise InputError(
            f"input_size must be the model's own, {space}, but got {asked} ({options.name}). Leave input_size out."
        )
    return asked or (None if None in space else space), len(space), channels
