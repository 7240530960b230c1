"""One part of the engine's benchmark for one item, in this process; prints one line of JSON. See engine.py.

python benchmarks/inside.py peers ResNet18 --threads 1 --quick
"""

import argparse
import importlib
import json
import os
import sys

from measure import limit_threads, versions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("part")
    parser.add_argument("item")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    limit_threads(arguments.threads)
    load = os.getloadavg()[0]
    if arguments.part != "start":
        import torch

        torch.set_num_threads(arguments.threads)
    part = importlib.import_module(f"parts.{arguments.part}")
    found = part.measure(arguments.item, arguments)
    print(json.dumps({"versions": versions(), "threads": arguments.threads, "found": {**found, "load": load}}))
    sys.stdout.flush()
    os._exit(0)  # a framework's threads may hang on the way out


if __name__ == "__main__":
    main()
