"""Grad-CAM against Captum and grad-cam, guided backpropagation against Captum, in turns.

.venv-peers/bin/python benchmarks/layer_family.py --threads 1 --seconds 30

One image, and eight at once. The processor's time of this process is compared, which what else the machine does hardly
changes. Every contender makes a map of the image's size and keeps what it prepares between calls. No weight needs a
gradient; grad-cam asks for one of the image, without which it does not run. Beside them the bare passes of the network,
without a map, with its channels outermost in memory and innermost: what nobody can do without.
"""

import copy
import json
import sys
import types
from collections.abc import Callable
from functools import partial
from typing import Any

from measure import beside, races, report

Run = Callable[[], Any]
COUNTS = (1, 8)
BARE = "bare pass"
MOST = 100
"""Rounds: a map of one image is a matter of milliseconds."""


def race(name: str, budget: float) -> dict[str, Any]:
    """Both methods on one network."""
    import numpy as np

    import eyeline
    from contenders import picture
    from networks import network, side

    module, image = network(name), picture(name)
    model = eyeline.load(module, input_size=(side(name),) * 2)
    layer, target = last(model, image.shape[1:]), int(model.scores(image)[0].argmax())
    found: dict[str, Any] = {}
    for count in COUNTS:
        images = np.concatenate([image] * count)
        for what, runs in contenders(model, module, images, layer, target).items():
            found[f"{what}, {count} image{'s' if count > 1 else ''}"] = row = turns(runs, budget)
            report(f"{name}, {what}, {count}: {json.dumps(row)}")
    return found


def turns(runs: dict[str, Run], budget: float) -> dict[str, Any]:
    """The rounds of one method, and how alike the maps are."""
    import numpy as np

    maps = {who: np.asarray(run()) for who, run in runs.items() if BARE not in who}
    found = beside(runs, budget, most=MOST)
    return {"correlation": {who: alike(each, maps["eyeline"]) for who, each in maps.items()}, **found}


def alike(one: Any, other: Any) -> float:
    import numpy as np

    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def last(model: Any, shape: tuple[int, ...]) -> str:
    """Name the layer that eyeline takes where none is named."""
    from eyeline.models.layered import choose

    return choose(model.layers(shape), None, "network").name


def contenders(model: Any, module: Any, images: Any, layer: str, target: int) -> dict[str, dict[str, Run]]:
    """Return who makes the maps, by method."""
    import torch
    from captum import attr

    import eyeline

    given = torch.from_numpy(images).movedim(-1, 1).contiguous()
    leaf = given.clone().requires_grad_()
    coarse, guided = attr.LayerGradCam(module, module.get_submodule(layer)), attr.GuidedBackprop(module)

    def captum() -> Any:
        found = coarse.attribute(given, target, relu_attributions=True)
        return attr.LayerAttribution.interpolate(found, images.shape[1:3], "bilinear").detach()[:, 0]

    many, innermost = len(images), leaf.detach().to(memory_format=torch.channels_last).requires_grad_()
    layouts = {f"{BARE}, outermost": leaf, f"{BARE}, innermost": innermost}
    return {
        "Grad-CAM": {
            "eyeline": lambda: eyeline.GradCAM(layer, batch=many)(model, images, target).maps,
            "captum": captum,
            "grad-cam": grad_cam(module, leaf, layer, target),
            **{who: partial(torch.no_grad()(module), laid) for who, laid in layouts.items()},
        },
        "Guided backpropagation": {
            "eyeline": lambda: eyeline.GuidedBackpropagation(None, batch=many)(model, images, target).maps,
            "captum": lambda: guided.attribute(leaf, target).detach().movedim(1, -1),
            **{who: partial(there_and_back, module, laid, target) for who, laid in layouts.items()},
        },
    }


def there_and_back(module: Any, leaf: Any, target: int) -> None:
    import torch

    torch.autograd.grad(module(leaf)[:, target].sum(), leaf)


def grad_cam(module: Any, given: Any, layer: str, target: int) -> Run:
    """Return a run of grad-cam, which imports a few names of torchvision that it does not use here."""
    for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.functional"):
        sys.modules[name] = types.ModuleType(name)
    transforms = sys.modules["torchvision.transforms"]
    sys.modules["torchvision"].transforms = transforms
    transforms.functional = sys.modules["torchvision.transforms.functional"]
    transforms.Compose = transforms.Normalize = transforms.ToTensor = transforms.functional.resize = None
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    own = copy.deepcopy(module)  # its hooks stay on the layer
    tool = GradCAM(own, [own.get_submodule(layer)])
    return lambda: tool(given, [ClassifierOutputTarget(target)] * len(given))


if __name__ == "__main__":
    races("layers", __doc__, race, 30, ["EfficientNet-Lite0", "ResNet18"])
