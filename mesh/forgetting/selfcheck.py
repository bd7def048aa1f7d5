"""Whether freed memory is overwritten in this very process: asked of the allocator, not of the environment."""

from __future__ import annotations

import ctypes

# Bytes; each of malloc's ways: the thread's cache (to 1,032), fast bins, small bins, large ones, several pages.
SIZES = (24, 48, 128, 200, 600, 1000, 1100, 5000, 70_000, 500_000)
_LINKS = 32
"""Bytes at a free chunk's beginning that malloc uses itself, and at its end (malloc/malloc.c, ``malloc_chunk``)."""
_MARK = 0x41


def freed_memory_is_overwritten() -> bool:
    """Frees marked chunks of each size and looks at what they hold then.

    False where the C library is another than glibc, or one that hasn't been told to.
    """
    libc = ctypes.CDLL(None)
    malloc, free = getattr(libc, "malloc", None), getattr(libc, "free", None)
    if malloc is None or free is None:
        return False
    malloc.restype, malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
    free.restype, free.argtypes = None, (ctypes.c_void_p,)
    return not any(_leaves_marks(malloc, free, size) for size in SIZES)


def _leaves_marks(malloc: ctypes._NamedFuncPointer, free: ctypes._NamedFuncPointer, size: int) -> bool:
    before, chunk, after = malloc(size), malloc(size), malloc(16)  # neighbours, so that the chunk isn't merged
    ctypes.memset(chunk, _MARK, size)
    free(chunk)
    # Reading freed memory: it is still this process's, since a neighbour behind it is in use.
    left = ctypes.string_at(chunk + _LINKS // 2, max(0, size - _LINKS)).count(bytes((_MARK,)))
    free(before)
    free(after)
    return left > 0
