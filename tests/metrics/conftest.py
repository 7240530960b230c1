"""Metrics have a folder of their own; helpers of the other tests are found from here."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
