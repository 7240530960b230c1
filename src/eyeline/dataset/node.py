"""One process of a cluster in a run: opens the model once, shows that it computes as the first machine does, and works.

What goes wrong comes back as a value, since what a task raises would be taken for the end of its process.
"""

import contextlib
import hashlib
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from eyeline.dataset.items import Source
from eyeline.dataset.manifest import Manifest
from eyeline.dataset.pools import packed, ready
from eyeline.dataset.work import Work
from eyeline.errors import Error, InputError, ModelError, first_line, require
from eyeline.models.base import Model


@dataclass(frozen=True)
class Kit:
    """What every process of a cluster needs; it lies in the object store once.

    Args:
        work: what is done with every chunk.
        model: how it is opened, pickled.
        source: the images: paths, or the arrays themselves.
        manifest: of the store.
        place: of the image that every process explains first.
        image: its SHA-256.
        numbers: hash of what came out for it, or "" where that differs from one time to the next.
        folder: that relative paths start from.
    """

    work: Work
    model: bytes
    source: Source
    manifest: Manifest
    place: int
    image: bytes
    numbers: str
    folder: str


def kit(
    work: Work, opener: Callable[[], Model], source: Source, manifest: Manifest, dumps: Callable[[Any], bytes]
) -> Kit:
    """Put together what the processes need, with what this one makes of the first image.

    Raises:
        InputError: the model does not pickle; no image can be read.
    """
    model = packed(opener, dumps)
    opened, place = ready(opener, source, manifest)
    image, numbers = _explained(work, opened, source, place)
    again = _explained(work, opened, source, place)[1]
    return Kit(work, model, source, manifest, place, image, numbers if numbers == again else "", os.getcwd())


class Node:
    """What Ray Data makes once in each process, and calls for each chunk.

    Args:
        held: the kit in the object store, in a list, so that no copy of it goes along.
    """

    def __init__(self, held: list[Any]) -> None:
        self._error = b""
        try:
            self._kit: Kit = require("ray", "ray").get(held[0])
            self._model = opened(self._kit)
        except Exception as error:
            self._error = _sent(error)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Compute one chunk."""
        answer = {"chunk": row["chunk"], "block": b"", "error": self._error}
        if not self._error:
            try:
                block = self._kit.work(self._model, self._kit.source, tuple(int(each) for each in row["rows"]))
                answer["block"] = pickle.dumps(block, protocol=pickle.HIGHEST_PROTOCOL)
            except Exception as error:
                answer["error"] = _sent(error)
        return answer


def opened(given: Kit) -> Model:
    """Open the model, and see that this machine gives the numbers that the first one gave.

    Raises:
        InputError: another framework, other kernels, another file, other bits; the sentence names the machine.
    """
    with contextlib.suppress(OSError):
        os.chdir(given.folder)
    name, place = given.source.items[given.place].name, given.place
    where = f"(node {_address()})"
    try:
        given.source.read(place)
        model, _ = ready(pickle.loads(given.model), given.source, given.manifest)
    except Error as error:
        raise type(error)(f"{error} {where}") from error
    image, numbers = _explained(given.work, model, given.source, place)
    if image != given.image:
        raise InputError(
            f"every node must read the same images, but {name!r} is another one here {where}. "
            "Put them on a disk that all nodes share."
        )
    if given.numbers and numbers != given.numbers:
        raise InputError(
            f"every node must compute the same numbers, bit for bit, but other ones come out for {name!r} {where}. "
            "Its processor or its libraries differ: use nodes of one kind."
        )
    return model


def _explained(work: Work, model: Model, source: Source, place: int) -> tuple[bytes, str]:
    """Return the hash of an image, and that of all that comes out for it."""
    block = work(model, source, (place,))
    digest = hashlib.sha256(repr(block.said).encode())
    for name, values in sorted(block.arrays.items()):
        digest.update(f"{name} {values.shape} {values.dtype}".encode() + np.ascontiguousarray(values).tobytes())
    return block.digests.tobytes(), digest.hexdigest()


def _address() -> str:
    return str(require("ray", "ray").util.get_node_ip_address())


def _sent(error: Exception) -> bytes:
    """Pickle what went wrong; where that cannot be, its first line."""
    try:
        sent = pickle.dumps(error)
        pickle.loads(sent)
    except Exception:
        sent = pickle.dumps(ModelError(f"a process of the cluster must compute its chunks, but {first_line(error)}"))
    return sent
