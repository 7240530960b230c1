"""Runs calls on Python threads, one torch thread each: what they do lets the interpreter go."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

A = TypeVar("A")
B = TypeVar("B")


def in_order(call: Callable[[A], B], items: Iterable[A], threads: int) -> Iterator[B]:
    """Yield call(item) of every item, in order; a few run ahead, on so many threads.

    Meanwhile torch has one thread; afterwards, also after an error or where the caller stops, as many as before.
    """
    if threads == 1:
        yield from map(call, items)
        return
    count = torch.get_num_threads()
    torch.set_num_threads(1)  # threads that are new take the count over
    pool = ThreadPoolExecutor(threads, "eyeline")
    try:
        ahead: deque[Future[B]] = deque()
        for item in items:
            ahead.append(pool.submit(call, item))
            if len(ahead) > threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(count)
