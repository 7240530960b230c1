"""Small runs for the tests: a model of numbers alone, images, and a process that runs them."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import eyeline

SIDE = 8
WEIGHTS = np.random.default_rng(1).standard_normal((SIDE * SIDE, 3)).astype(np.float32)


def scores(images):
    """A model without a framework: three scores, not linear in the image."""
    return np.tanh(images.reshape(len(images), -1) @ WEIGHTS / 8)


def slow():
    """The same, slow enough to be killed in the middle."""

    def model(images):
        time.sleep(0.001 * len(images))
        return scores(images)

    return model


METHOD = eyeline.Occlusion(window=4, stride=2, baseline=eyeline.Constant(0), batch=16)
"""With its batch named: a measured one may differ between two first starts, and with it the last digit."""


def images(count, seed=0):
    return np.random.default_rng(seed).random((count, SIDE, SIDE, 1), dtype=np.float32)


def run(path, given, **words):
    """Run in this process."""
    words = {"method": METHOD, "chunk": 4, "input_size": SIDE} | words
    return eyeline.run(words.pop("model", scores), given, path, **words)


def start(path, given):
    """Start the same run, of the slow model, in a process of its own."""
    code = (
        "import sys, eyeline; from many import METHOD, SIDE; "
        "eyeline.run('many:slow', sys.argv[1], sys.argv[2], METHOD, chunk=4, input_size=SIDE)"
    )
    return subprocess.Popen([sys.executable, "-c", code, str(given), str(path)])


def deadly():
    """A model whose process dies where the image is black."""

    def model(given):
        if os.environ.get("DEADLY") and not given.any(axis=(1, 2, 3)).all() and len(given) == 2:
            os._exit(9)
        return scores(given)

    return model


def fickle():
    """A model whose outputs are probabilities where it is begun, and scores in other processes."""
    import multiprocessing

    def model(given):
        found = np.exp(scores(given))
        return found if multiprocessing.parent_process() else found / found.sum(axis=1, keepdims=True)

    return model


def grey(given):
    """The same for pictures in colour."""
    return scores(given.mean(axis=-1))


def elsewhere():
    """A model that gives other numbers in any process but the one named by DRIVER."""
    return lambda given: scores(given) + np.float32(os.environ.get("DRIVER") != str(os.getpid()))


def deadly_elsewhere():
    """A model that ends any process but that one where an image is black."""

    def model(given):
        if os.environ.get("DRIVER") != str(os.getpid()) and not given.any(axis=(1, 2, 3)).all():
            os._exit(9)
        return scores(given)

    return model


def workers():
    """Processes that this one started to compute with."""
    found = []
    for each in Path("/proc").iterdir():
        try:
            parent = each.name.isdigit() and int((each / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"spawn_main" in (each / "cmdline").read_bytes():
                found.append(int(each.name))
        except OSError:
            continue
    return found
