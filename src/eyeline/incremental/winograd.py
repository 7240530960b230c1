"""Winograd's F(4 x 4, 3 x 3): 16 outputs of a 3 x 3 convolution from 36 products instead of 144.

Outputs = OUTPUT ((FILTER w FILTER') * (INPUT d INPUT')) OUTPUT', with 6 x 6 inputs d that overlap by 2 (Lavin and
Gray 2016, equation 8); the products over channels are 36 matrix products. Their points, 0, 1, -1, 2 and -2, lose
twice the digits that 0, NEAR, -NEAR, FAR and -FAR do, found by search; both are exact in binary. The native kernels
cut the ends of a box into smaller tiles, which leave out the last of these points: r outputs take r + 2 products.
"""

import numpy as np
import torch
from torch import Tensor

NEAR, FAR = 5 / 8, 3 / 2


def _input() -> list[list[float]]:
    """Coefficients of the polynomials that vanish at all the points but one."""
    near, far = NEAR**2, FAR**2
    both = near * far
    return [
        [both, 0.0, -near - far, 0.0, 1.0, 0.0],
        *([0.0, -point * far, -far, point, 1.0, 0.0] for point in (NEAR, -NEAR)),
        *([0.0, -point * near, -near, point, 1.0, 0.0] for point in (FAR, -FAR)),
        [0.0, both, 0.0, -near - far, 0.0, 1.0],
    ]


def _filter() -> list[list[float]]:
    """Powers of the points, divided by their distances to the others."""
    points = [0.0, NEAR, -NEAR, FAR, -FAR]
    lengths = [float(np.prod([one - other for other in points if other != one])) for one in points]
    powers = [[point**power / length for power in range(3)] for point, length in zip(points, lengths, strict=True)]
    return [*powers, [0.0, 0.0, 1.0]]


INPUT = _input()
FILTER = _filter()
OUTPUT = [[*(point**power for point in (0.0, NEAR, -NEAR, FAR, -FAR)), float(power == 3)] for power in range(4)]


def weights(taps: Tensor) -> Tensor:
    """Transform weights (outputs, inputs, 3, 3) to (36, inputs, outputs), in double precision."""
    matrix = torch.tensor(FILTER, dtype=torch.float64)
    turned = torch.einsum("ur,vc,oirc->uvio", matrix, matrix, taps.double().cpu())
    return turned.reshape(36, *turned.shape[2:]).float().contiguous().to(taps.device)


def tiles_across(box: np.ndarray) -> np.ndarray:
    """Count the tiles side by side in each box."""
    return np.asarray(-(-(box[:, 3] - box[:, 2]) // 4))


def tile_offsets(box: np.ndarray) -> np.ndarray:
    """Return the first tile of each position, and how many there are in all."""
    down = -(-(box[:, 1] - box[:, 0]) // 4)
    return np.concatenate([[0], np.cumsum(down * tiles_across(box))])
