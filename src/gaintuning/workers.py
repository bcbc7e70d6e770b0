"""Processes that compute beside this one, and end when it does."""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from threading import Thread

import torch


def workers(count: int) -> ProcessPoolExecutor:
    """So many, each with its part of the threads.

    Examples
    --------
    >>> with workers(2) as pool:
    ...     list(pool.map(abs, [-1, 2]))
    [1, 2]
    """
    threads = max(1, torch.get_num_threads() // count)
    return ProcessPoolExecutor(count, get_context("spawn"), _begin, (threads,))


def _begin(threads: int) -> None:
    torch.set_num_threads(threads)
    # Of a parent that is killed, a worker would never hear again, and wait or compute for nobody.
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
