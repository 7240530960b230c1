"""The metrics: how far a map can be trusted. `METRICS` is their table; a new metric is one class and one row."""

from typing import Any

from eyeline.metrics.agreement import BaselineAgreement, SeedAgreement
from eyeline.metrics.base import Measured, Metric
from eyeline.metrics.chance import ShiftTest
from eyeline.metrics.completeness import Completeness
from eyeline.metrics.curves import Deletion, Insertion
from eyeline.metrics.infidelity import Infidelity
from eyeline.metrics.localisation import EvidenceInside, PointingGame, Region
from eyeline.metrics.randomisation import Randomisation
from eyeline.metrics.road import Road
from eyeline.metrics.sensitivity import MaxSensitivity

METRICS: dict[str, type[Any]] = {
    "randomisation": Randomisation,
    "shifttest": ShiftTest,
    "deletion": Deletion,
    "insertion": Insertion,
    "road": Road,
    "infidelity": Infidelity,
    "maxsensitivity": MaxSensitivity,
    "seedagreement": SeedAgreement,
    "baselineagreement": BaselineAgreement,
    "completeness": Completeness,
    "pointinggame": PointingGame,
    "evidenceinside": EvidenceInside,
}
"""Name -> settings."""

__all__ = [
    "METRICS",
    "BaselineAgreement",
    "Completeness",
    "Deletion",
    "EvidenceInside",
    "Infidelity",
    "Insertion",
    "MaxSensitivity",
    "Measured",
    "Metric",
    "PointingGame",
    "Randomisation",
    "Region",
    "Road",
    "SeedAgreement",
    "ShiftTest",
]
