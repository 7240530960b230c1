"""The few names of torchvision that zennit and grad-cam import; PyPI's build of it is for another torch."""

import sys
import types

PARTS = (
    "torchvision",
    "torchvision.models",
    "torchvision.models.resnet",
    "torchvision.transforms",
    "torchvision.transforms.functional",
)


def stub() -> None:
    """Put them in the place of torchvision, where it has not been imported."""
    if PARTS[0] in sys.modules:
        return
    for name in PARTS:
        module = types.ModuleType(name)
        sys.modules[name] = module
        above, _, last = name.rpartition(".")
        if above:
            setattr(sys.modules[above], last, module)
    resnet, transforms = sys.modules[PARTS[2]], sys.modules[PARTS[3]]
    resnet.Bottleneck = resnet.BasicBlock = type("Block", (), {})
    transforms.Compose = transforms.Normalize = transforms.ToTensor = None
    sys.modules[PARTS[4]].resize = None
