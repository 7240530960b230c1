"""The batched loop: order, budget, halving."""

import mmap
import subprocess
import sys

import numpy as np
import pytest

from eyeline.errors import InputError, OutOfMemoryError
from eyeline.methods import batches as module
from eyeline.methods.batches import Batches


def run(batches, total, call=lambda start, stop: (start, stop)):
    return [(start, stop) for start, stop, _ in batches.run(total, call)]


@pytest.mark.parametrize("total", [1, 7, 8, 100])
@pytest.mark.parametrize("size", [None, 1, 3, 500])
def test_every_image_once_in_order(total, size):
    parts = run(Batches(size, 1024), total)
    assert [start for start, _ in parts] == [0, *(stop for _, stop in parts[:-1])]
    assert parts[-1][1] == total
    if size:
        assert all(stop - start == size for start, stop in parts[:-1])


def test_out_of_memory_halves_and_goes_on():
    seen = []

    def call(start, stop):
        if stop - start > 5:
            raise OutOfMemoryError("too much")
        seen.append((start, stop))
        return np.zeros(stop - start)

    batches = Batches(16, 1024)
    assert run(batches, 30, call) == seen
    assert seen[0] == (0, 4)
    assert seen[-1][1] == 30
    assert batches.used == 4


def test_not_even_one_fits():
    def call(start, stop):
        raise OutOfMemoryError("too much")

    with pytest.raises(OutOfMemoryError):
        run(Batches(8, 1024), 10, call)


def clocked(monkeypatch, seconds, grown=lambda count: 0):
    """Let a batch of `count` images take seconds(count) and the process grow by grown(count) bytes."""
    state = {"now": 0.0, "peak": 0}

    def call(start, stop):
        state["now"] += seconds(stop - start)
        state["peak"] = grown(stop - start)

    monkeypatch.setattr(module, "_clock", lambda: (state["now"], 0.0))
    monkeypatch.setattr(module, "_peak", lambda: state["peak"])
    monkeypatch.setattr(module, "_resident", lambda: 1)
    return call


def test_a_batch_grows_while_it_pays(monkeypatch):
    call = clocked(monkeypatch, lambda count: 0.1 + 0.01 * count)
    batches = Batches(None, 1024)
    run(batches, 20000, call)
    assert batches.used >= 128


def test_a_batch_that_does_not_pay_is_left(monkeypatch):
    call = clocked(monkeypatch, lambda count: 0.05 * count)
    batches = Batches(None, 1024)
    parts = run(batches, 500, call)
    assert batches.size == 1, "an image takes no less time in any larger batch"
    assert parts[-2][1] - parts[-2][0] == batches.size


@pytest.mark.parametrize("slow", [4, 16, 64])
@pytest.mark.parametrize("each", [1e-5, 1e-2])
def test_one_size_at_which_a_framework_is_slow_does_not_end_the_growth(monkeypatch, slow, each):
    """Where batches take milliseconds; where they take long, a second trial would cost more than it may bring."""
    call = clocked(monkeypatch, lambda count: (each + each * count) * (1.2 if count == slow else 1))
    batches = Batches(None, 1024)
    run(batches, 100_000, call)
    quick = each * slow < module.SHORT
    assert (batches.size >= 64) is quick
    assert batches.size != slow


def test_a_second_miss_ends_the_growth_at_the_best(monkeypatch):
    call = clocked(monkeypatch, lambda count: 1e-5 * count * (1 if count == 4 else 1.2))
    batches = Batches(None, 1024)
    run(batches, 100_000, call)
    assert batches.size == 4


def test_a_batch_stops_where_it_stops_paying(monkeypatch):
    call = clocked(monkeypatch, lambda count: (0.1 + 0.05 * count) * (1 + (count > 16)))
    batches = Batches(None, 1024)
    run(batches, 500, call)
    assert batches.size == 16


@pytest.mark.parametrize("told", [True, False])
def test_other_programs_do_not_decide_the_size(monkeypatch, told):
    """They hold up every batch but a large one that does not pay. Sabotage twin: where nobody tells, it is taken."""
    state = {"now": 0.0, "waited": 0.0}

    def call(start, stop):
        held = 3.0 if stop - start < 4 else 0.0
        state["now"] += 0.05 * (stop - start) + held
        state["waited"] += held

    monkeypatch.setattr(module.time, "perf_counter", lambda: state["now"])
    monkeypatch.setattr(module, "_waited", lambda: state["waited"] if told else 0.0)
    monkeypatch.setattr(module, "_peak", lambda: 0)
    monkeypatch.setattr(module, "_resident", lambda: 1)
    batches = Batches(None, 1024)
    run(batches, 500, call)
    assert batches.size == (1 if told else 4)


tells = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="how long a thread waited is told by /proc, which Linux has"
)


def on_one_processor(script):
    """Run a script in a process of its own that may use one processor; the numbers that it prints."""
    first = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    done = subprocess.run([sys.executable, "-c", first + script], capture_output=True, text=True, check=True)
    return [float(each) for each in done.stdout.split()]


@tells
def test_a_thread_that_waits_is_told_from_one_that_works():
    """Two processes share a processor: about half of the time of each passes in waiting for the other."""
    took, clock = on_one_processor(
        "import time; child = os.fork()\n"
        "from eyeline.methods.batches import _clock, _passed\n"
        "clock, began = _clock(), time.perf_counter()\n"
        "while time.process_time() < 0.6: pass\n"
        "took, clock = time.perf_counter() - began, _passed(clock)\n"
        "if child: os.waitpid(child, 0); print(took, clock)\n"
    )
    assert clock < 0.9 * took


@tells
def test_a_frameworks_own_threads_are_no_other_programs():
    """Two threads of one process share a processor: one waits while the other works, and both are part of the batch."""
    worked, thread, passed = on_one_processor(
        "import hashlib, threading, time\n"
        "from eyeline.methods.batches import _clock, _passed\n"
        "def work():\n"
        "    began = time.thread_time()\n"
        "    while time.thread_time() - began < 0.3: hashlib.sha256(bytes(2**22))\n"
        "other, began, clock = threading.Thread(target=work), time.process_time(), _clock()\n"
        "other.start(); work(); other.join()\n"
        "print(time.process_time() - began, _clock()[0] - clock[0], _passed(clock))\n"
    )
    assert thread < 0.85 * worked  # what the thread's own waiting says alone
    assert passed >= 0.99 * worked


def test_few_images_are_no_time_for_trials(monkeypatch):
    """Trying a size costs where it does not pay: at most a sixteenth of the work goes into one."""
    call = clocked(monkeypatch, lambda count: 0.1 + 0.01 * count)
    batches = Batches(None, 1024)
    run(batches, 81, call)
    assert batches.used == 4


@pytest.mark.parametrize("images", [1, 2, 3, 5, 6])
def test_a_short_run_before_a_long_one_does_not_end_the_growth(monkeypatch, images):
    """The whole images come first, and their few batches must not hold the windows at a small size."""
    call = clocked(monkeypatch, lambda count: 0.001 + 0.0001 * count)
    batches = Batches(None, 1024)
    run(batches, images, call)
    run(batches, 20000, call)
    assert batches.used >= 128


def test_where_nothing_is_measured_a_batch_stays_small(monkeypatch):
    """Elsewhere than on Linux there is no account of the memory, so growth has a plain bound."""
    state = {"now": 0.0}

    def call(start, stop):
        state["now"] += 0.001

    monkeypatch.setattr(module, "_clock", lambda: (state["now"], 0.0))
    monkeypatch.setattr(module, "_status", lambda key: 0)
    batches = Batches(None, 1024)
    run(batches, 5000, call)
    assert batches.used == module.UNMEASURED == 16
    monkeypatch.setattr(module, "_status", lambda key: 1)
    batches = Batches(None, 1024)
    run(batches, 5000, call)
    assert batches.used == module.LARGEST


def test_the_first_batch_of_a_size_may_be_slow(monkeypatch):
    """A framework that prepares for each new size does not end the growth."""
    seen = set()

    def seconds(count):
        new = count not in seen
        seen.add(count)
        return 0.1 + 0.01 * count + 5 * new

    call = clocked(monkeypatch, seconds)
    batches = Batches(None, 1024)
    run(batches, 20000, call)
    assert batches.used >= 128


@pytest.mark.parametrize("hidden", [0, 5, 30])
def test_growth_hidden_at_first_does_not_break_the_budget(monkeypatch, hidden):
    """Freed memory that was still resident when the run began hides the growth of the first batches."""
    peaks = []

    def grown(count):
        peaks.append(max(count * 10 - hidden, 0) * 2**20)
        return peaks[-1]

    call = clocked(monkeypatch, lambda count: 0.1 + 0.001 * count, grown)
    run(Batches(None, 200), 500, call)
    assert max(peaks) <= 200 * 2**20


def test_the_budget_bounds_a_batch(monkeypatch):
    call = clocked(monkeypatch, lambda count: 0.1 + 0.001 * count, lambda count: count * 10 * 2**20)
    batches = Batches(None, 200)
    run(batches, 5000, call)
    assert batches.used == 20


def test_a_budget_smaller_than_one_image_goes_one_by_one(monkeypatch):
    call = clocked(monkeypatch, lambda count: 1.0, lambda count: count * 10 * 2**20)
    batches = Batches(None, 5)
    run(batches, 20, call)
    assert batches.used == 1


@pytest.mark.parametrize(("size", "memory"), [(0, 10), (-1, 10), (None, 0)])
def test_nothing_below_one(size, memory):
    with pytest.raises(InputError, match="must be 1 or more"):
        Batches(size, memory)


def test_the_kernel_is_asked_for_the_peak():
    """Where there is a kernel that keeps the account, growing by 64 MiB is seen, and forgotten again."""
    if not module._resident():
        pytest.skip("only Linux keeps an account of the peak that can be read and reset")
    module._forget_peak()
    before = module._peak()
    with mmap.mmap(-1, 64 * 2**20) as held:  # not malloc: what its free lists serve does not go back to the system
        for page in range(0, len(held), mmap.PAGESIZE):
            held[page] = 1
        assert module._peak() - before >= 60 * 2**20
    module._forget_peak()
    assert module._peak() - before < 32 * 2**20
