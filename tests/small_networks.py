"""Networks of the tests of Captum, as PyTorch has them, and their published answers.

BM2 and BM3 are the same function. A and B are the inputs of CN1.
"""

import numpy as np
import torch
from torch import nn

A = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
B = np.ones((1, 4, 4, 1), dtype=np.float32)
HEAD = np.array([[1] * 5 + [-1] * 3] * 4, dtype=np.float32)
GUIDED = [[0, 1, 1, 1], [1, 3, 3, 2], [1, 3, 3, 2], [1, 2, 2, 1]]
DECONVNET = [[2, 3, 3, 1], [3, 5, 5, 2], [3, 5, 5, 2], [1, 2, 2, 1]]
PLAIN = [[0, 1, 1, 1]] * 3 + [[0] * 4]


class CN1(nn.Module):
    """conv 1->2 of ones, biases -50 and -75, ReLU, linear 8->4, ReLU."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.last = nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Linear(8, 4, bias=False)
        self.relu2 = nn.ReLU()
        nn.init.ones_(self.conv.weight)
        self.conv.bias.data = torch.tensor([-50.0, -75.0])
        self.last.weight.data = torch.from_numpy(HEAD.copy())

    def forward(self, images):
        return self.relu2(self.last(self.relu(self.conv(images)).flatten(1)))


class TwoInputs(CN1):
    """The second is added to the first."""

    def forward(self, image, other):
        return super().forward(image + other)


class BM2(nn.Module):
    """relu(relu(a) - 1 - relu(b))."""

    def forward(self, a, b):
        return torch.relu(torch.relu(a) - 1 - torch.relu(b))


class BM3(nn.Module):
    """relu(relu(a - 1) - relu(b))."""

    def forward(self, a, b):
        return torch.relu(torch.relu(a - 1) - torch.relu(b))
