"""Exactness at every position: the engine and torch's own float32 runs, each against a float64 run."""

import copy
from argparse import Namespace
from typing import Any

import numpy as np
import torch

import contenders
from contenders import BATCH
from eyeline.incremental.run import Engine
from measure import report

SHARE, TIMES, JUDGED = 1e-3, 5, 100
"""Of the map's range; times float32's own error; how many such errors a map's range must be to be judged."""


def measure(name: str, arguments: Namespace) -> dict[str, Any]:
    """One network: largest errors of its logits, every class, every position."""
    case = contenders.case(name)
    engine = Engine(case.model.graph(case.shape))
    patch = np.zeros_like(case.image)
    precise = copy.deepcopy(case.module).double()
    exact = outputs(precise, case.planes.double(), case.boxes, BATCH)
    found = {
        "incremental": np.concatenate([raw for _, raw in engine.run(case.image, patch, case.boxes)]),
        "contiguous, batch 1": outputs(case.module, case.planes, case.boxes, 1),
        "folded, channels last, batch 8": outputs(
            contenders.folded(case.module),
            case.planes.contiguous(memory_format=torch.channels_last),
            case.boxes,
            BATCH,
        ),
    }
    target = int(case.model.scores(case.image)[0].argmax())
    errors = {key: float(np.abs(value - exact).max()) for key, value in found.items()}
    ours = errors.pop("incremental")
    span, single = float(np.ptp(exact[:, target])), max(errors.values())
    verdict = "range too small" if span < JUDGED * single else str(ours <= SHARE * span and ours <= TIMES * single)
    report(f"{name}: {ours / single:.2f} times float32's own error, {ours / span:.1e} of the range")
    return {
        "positions": len(case.boxes),
        "classes": exact.shape[1],
        "map_range": span,
        "incremental": ours,
        "float32": errors,
        "times_float32": ours / single,
        "share_of_range": ours / span,
        "exact": {"True": "yes", "False": "no"}.get(verdict, verdict),
        "kernels": engine.kernels,
    }


def outputs(module: torch.nn.Module, image: torch.Tensor, boxes: np.ndarray, batch: int) -> np.ndarray:
    """Logits of every position, (n, classes), float64."""
    return torch.cat(list(contenders.batched(module, image, boxes, batch))).double().numpy()
