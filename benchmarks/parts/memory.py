"""What the process grows by while one map is made, reading, folding and compiling the network included."""

from argparse import Namespace
from typing import Any

import contenders
from contenders import BATCH, Case
from eyeline.incremental.run import Engine
from measure import Peak, report

RUNS = {
    "incremental": lambda case: contenders.incremental(case, Engine(case.model.graph(case.shape)), case.boxes)(),
    "full": lambda case: contenders.full(case, BATCH)(),
    "captum": lambda case: contenders.captum(case.probable, case.planes, 0, case.tile, case.tile, BATCH),
    "dense": lambda case: contenders.dense(case.probable, case.planes, case.boxes[case.few])(),
    "openvino": lambda case: contenders.openvino(case.probable, case.planes, case.boxes[case.few], BATCH)(),
}


def measure(item: str, arguments: Namespace) -> dict[str, Any]:
    """One contender in a fresh process: what one frees, the next would reuse. `item` is "network, contender"."""
    name, contender = item.split(", ")
    case: Case = contenders.case(name)
    case.model.scores(case.image)
    with Peak() as peak:
        RUNS[contender](case)
    report(f"{item}: grew by {peak.highest - peak.before:.0f} MiB")
    return {"before": peak.before, "grown": peak.highest - peak.before}
