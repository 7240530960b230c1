"""Turns at the model: first come, first served; short questions before long runs, but not for ever."""

import threading
import time

from eyeline.app.turns import IN_A_ROW, Turns


def in_line(turns, count):
    """Wait until so many wait."""
    until = time.monotonic() + 5
    while len(turns._short) + len(turns._long) < count:
        assert time.monotonic() < until
        time.sleep(0.001)


def queue(turns, kinds):
    """Let threads of these kinds wait in this order; return the order in which they get their turn."""
    order, threads = [], []

    def take(kind, number):
        with turns.turn(short=kind == "short"):
            order.append(f"{kind} {number}")

    with turns.turn():
        for number, kind in enumerate(kinds):
            threads.append(threading.Thread(target=take, args=(kind, number)))
            threads[-1].start()
            in_line(turns, number + 1)
    for thread in threads:
        thread.join(5)
    return order


def test_short_questions_go_first_and_each_kind_in_its_order():
    order = queue(Turns(), ["long", "short", "long", "short"])
    assert order == ["short 1", "short 3", "long 0", "long 2"]


def test_a_long_run_is_not_kept_waiting_for_ever():
    order = queue(Turns(), ["long"] + ["short"] * (IN_A_ROW + 2))
    assert order.index("long 0") == IN_A_ROW


def test_a_run_hands_over_between_its_parts():
    turns, order = Turns(), []

    def short():
        with turns.turn(short=True):
            order.append("short")

    with turns.turn():
        turns.hand_over()
        order.append("part")
        thread = threading.Thread(target=short)
        thread.start()
        in_line(turns, 1)
        turns.hand_over()
        order.append("part")
    thread.join(5)
    assert order == ["part", "short", "part"]


def test_an_error_gives_the_turn_back():
    turns = Turns()
    for _ in range(2):
        try:
            with turns.turn():
                raise ValueError
        except ValueError:
            pass
    assert queue(turns, ["long"]) == ["long 0"]
