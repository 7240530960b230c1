"""The folder of a store: one writer at a time, room on the disk, nothing of anyone else's in it."""

import contextlib
import functools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from eyeline.errors import InputError


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Be the one process that writes to a store, until the block ends or the process dies.

    Raises:
        InputError: another process writes; the folder cannot be written.
    """
    with writable(path):
        path.mkdir(parents=True, exist_ok=True)
        handle = os.open(path / ".lock", os.O_RDWR | os.O_CREAT)
    try:
        if not _lock(handle):
            raise InputError(
                f"one run at a time must write to a store, but another one writes to {str(path)!r}. "
                "Wait for it, or pass another --store."
            )
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def writable(path: Path) -> Iterator[None]:
    """Turn a full disk or a read-only folder into its sentence."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"the store {str(path)!r} must be writable and have room, but writing failed "
            f"({error.strerror or error}). What was done is kept: free some room and start it again."
        ) from error


def clear(path: Path) -> None:
    """Take away what a start that was killed left behind.

    Raises:
        InputError: the folder holds something else.
    """
    found = {each.name for each in path.iterdir()} - {".lock"} if path.exists() else set()
    ours = {"zarr.json", "maps", "scores", "weights", "windows", "digests", "stamps", "said", "status"}
    if found - ours:
        raise InputError(
            f"the store must be a new folder or one that eyeline run made, but {str(path)!r} holds "
            f"{sorted(found - ours)[0]!r}. Pass another name."
        )
    with writable(path):
        for name in found:
            each = path / name
            shutil.rmtree(each) if each.is_dir() else each.unlink()


def _lock(handle: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        lock = functools.partial(msvcrt.locking, handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        lock = functools.partial(fcntl.flock, handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        lock()
    except OSError:
        return False
    return True
