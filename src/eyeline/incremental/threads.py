"""Runs calls on as many Python threads as torch has, one torch thread each: what they do lets the interpreter go."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

A = TypeVar("A")
B = TypeVar("B")


def in_order(call: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
    """Yield call(item) of every item, in order; a few run ahead.

    While this runs torch has one thread; afterwards, also after an error or where the caller stops, as many as before.
    """
    count = torch.get_num_threads()
    if count == 1:
        yield from map(call, items)
        return
    torch.set_num_threads(1)  # threads that are new take the count over
    pool = ThreadPoolExecutor(count, "eyeline")
    try:
        ahead: deque[Future[B]] = deque()
        for item in items:
            ahead.append(pool.submit(call, item))
            if len(ahead) > count:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(count)
