"""As `peers`, with all cores: whether the advantage over those who use threads too is kept."""

from argparse import Namespace
from typing import Any

from parts import peers


def measure(name: str, arguments: Namespace) -> dict[str, Any]:
    """One network, without those whose threads are of no interest."""
    return peers.measure(name, arguments, everyone=False)
