"""Keep freed memory for the next tensor instead of giving it back to the system after every step."""

import ctypes
import platform
from functools import cache

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of <malloc.h>
LARGE = 1 << 30  # bytes
LARGEST = (1 << 31) - 1  # bytes; a C int


@cache
def keep_freed_memory() -> bool:
    """Tell glibc's malloc to serve large blocks from the heap and to keep what is freed. True where that took effect.

    By default every tensor above 32 MB is mapped from the system and unmapped after use, and each page is zeroed on
    its first touch: on a CPU a training step spends two thirds of its time there. Elsewhere than on Linux with glibc
    nothing is changed. Call once, before the first large tensor.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(M_MMAP_THRESHOLD, LARGE) and libc.mallopt(M_TRIM_THRESHOLD, LARGEST))
