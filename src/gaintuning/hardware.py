"""What the machine can do."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import torch

# Of glibc's malloc.h, with what glibc itself comes to where large blocks are freed. It would not
# come to that again, as it leaves alone what was once set.
M_TRIM_THRESHOLD, TRIM_THRESHOLD = -1, 64 * 2**20
M_MMAP_THRESHOLD, MMAP_THRESHOLD = -3, 32 * 2**20
M_MMAP_MAX, MMAP_MAX = -4, 65536

_keepers = 0
_of_keepers = Lock()


def has_bfloat16_units(device: torch.device) -> bool:
    """Whether convolutions are much faster in bfloat16.

    So they are on CPUs with AMX, on AMD's with AVX512-BF16, and on newer GPUs. Intel's AVX512-BF16
    by itself, as where a virtual machine hides AMX, takes 1.6 times as long as float32.

    Examples
    --------
    >>> has_bfloat16_units(torch.device("cpu")) in (True, False)
    True
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    units = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    is_of_amd = units.get("sse4a")
    return bool(units.get("amx_bf16") or (units.get("avx512_bf16") and is_of_amd))


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Keep what is freed for the next allocation; at the end, hand it back to the system.

    A step allocates and frees the same large tensors again and again. Each time, glibc gives their
    pages back, and the system clears new ones: up to a third of the time. Of several that overlap,
    the last one to end hands it back. Elsewhere than on Linux with glibc nothing changes.

    Examples
    --------
    >>> with freed_memory_kept():
    ...     total = sum(float(torch.ones(1000).sum()) for _ in range(3))
    >>> total
    3000.0
    """
    if sys.platform != "linux" or not hasattr(libc := ctypes.CDLL(None), "mallopt"):
        yield
        return
    global _keepers  # as the allocator is
    with _of_keepers:
        _keepers += 1
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        with _of_keepers:
            _keepers -= 1
            if not _keepers:
                libc.mallopt(M_MMAP_MAX, MMAP_MAX)
                libc.mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD)
                libc.mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD)
                libc.malloc_trim(0)
