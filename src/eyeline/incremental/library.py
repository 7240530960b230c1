"""Finds and opens the native kernels: the build that suits the processor, described to ctypes."""

import ctypes
from ctypes import POINTER, c_float, c_int, c_int64, c_void_p
from pathlib import Path
from typing import Any

from eyeline import incremental


class LibraryError(ImportError):
    """There is no library of these sources that could be opened."""


INTERFACE = 2
"""Counts the changes of what the functions take; the library says the same number, or was built from other sources."""

SUFFIXES = (".so", ".dll", ".dylib")

VARIANTS = {4: "avx512", 3: "avx2"}
"""Builds for x86-64 levels above the first."""


class SourceStruct(ctypes.Structure):
    """Where a source lies: see lookup."""

    _fields_ = [(name, c_void_p) for name in ("data", "clean", "box", "offsets")] + [
        (name, c_int64) for name in ("rows", "columns", "channels")
    ]


class TargetStruct(ctypes.Structure):
    """Which outputs are wanted, and where they lie."""

    _fields_ = [("box", c_void_p), ("offsets", c_void_p)] + [(name, c_int64) for name in ("positions", "first", "last")]


class TapsStruct(ctypes.Structure):
    """How taps lie, row then column: kernel, stride, dilation, padding before."""

    _fields_ = [
        (f"{axis}_{name}", c_int64)
        for name in ("kernel", "stride", "dilation", "padding")
        for axis in ("row", "column")
    ]


_S, _T, _K, _P = POINTER(SourceStruct), POINTER(TargetStruct), POINTER(TapsStruct), c_void_p
SIGNATURES = {
    "fetch": (_S, _T, _P, c_int64),
    "fetch_add": (_S, _T, c_float, c_float, _P),
    "gather": (_S, _T, _K, c_float, c_int64, _P),
    "product": (_P, c_int64, c_int64, c_int64, c_int64, c_int64, _P, c_int64, _P, c_float, c_float, _P),
    "convolve": (_S, _T, _K, c_int64, _P, c_int64, _P, c_float, c_float, _P),
    "depthwise": (_S, _T, _K, _P, _P, c_float, c_float, _P),
    "max_pool": (_S, _T, _K, _P),
    "average_pool": (_S, _T, _K, _P, c_int64, _P),
    "global_sum_change": (_S, c_int64, _P),
    "winograd": (_S, _T, c_int64, c_int64, _P, c_int64, _P, c_float, c_float, c_int64, _P),
}


def load(variant: str = "") -> ctypes.CDLL:
    """Open one build of the library; an editable install puts it in another folder than this file.

    Raises:
        LibraryError: it was not built, or from other sources.
    """
    stem = "_native" + (f"_{variant}" if variant else "")
    places = [Path(folder) / (stem + suffix) for folder in incremental.__path__ for suffix in SUFFIXES]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise LibraryError(f"{stem} must lie in {incremental.__path__}, but there is none. Install with a C++ compiler")
    try:
        library = ctypes.CDLL(str(found))
    except OSError as error:
        raise LibraryError(f"{found} must open, but {error}. Install eyeline again") from error
    describe: dict[str, tuple[tuple[Any, ...], Any]] = {
        "interface": ((), c_int),
        "level": ((), c_int),
        "panel": ((), c_int64),
    }
    describe.update({name: (arguments, None) for name, arguments in SIGNATURES.items()})
    for name, (arguments, result) in describe.items():
        function = getattr(library, f"eyeline_{name}", None)
        if function is None:
            raise LibraryError(f"{found} must have eyeline_{name}, but it has not. Install eyeline again")
        function.argtypes, function.restype = arguments, result
    if library.eyeline_interface() != INTERFACE:
        raise LibraryError(f"{found} must be of these sources, but it is of others. Install eyeline again")
    return library


def choose() -> tuple[ctypes.CDLL, str]:
    """Open the build that suits the processor best, and name it."""
    plain = load()
    variant = VARIANTS.get(plain.eyeline_level())
    if variant is None:
        return plain, "native"
    try:
        return load(variant), f"native {variant}"
    except LibraryError:
        return plain, "native"
