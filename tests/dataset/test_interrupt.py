"""Ctrl-C, which somebody swallows, against what a program hears of it afterwards."""

import contextlib
import signal
import threading

import pytest

from eyeline.dataset.interrupt import heeded


def swallowed():
    """Press Ctrl-C where a library forgets what it raises."""
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_what_was_swallowed_is_raised_again():
    before = signal.getsignal(signal.SIGINT)
    with heeded() as check:
        check()
        swallowed()
        with pytest.raises(KeyboardInterrupt):
            check()
    assert signal.getsignal(signal.SIGINT) is before


def test_it_is_raised_at_once_too():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), heeded():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_where_it_is_ignored_it_stays_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with heeded() as check:
            signal.raise_signal(signal.SIGINT)
            check()
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_goes_without():
    found = []

    def run():
        with heeded() as check:
            check()
            found.append("ran")

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == ["ran"]
