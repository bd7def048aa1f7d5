"""Whether freed memory is overwritten in this very process: asked of the allocator, not of the environment."""

from __future__ import annotations

import ctypes
import sys

# Bytes; each of malloc's ways: the thread's cache (to 1,032), fast bins, small bins, large ones, several pages.
SIZES = (24, 48, 128, 200, 600, 1000, 1100, 5000, 70_000, 500_000)
_LINKS = 32
"""Bytes at a free chunk's beginning that malloc uses itself, and at its end (malloc/malloc.c, ``malloc_chunk``)."""
_MARK = 0x41
_RUN = bytes((_MARK,)) * 8
"""What counts as a mark that was left: eight in a row, as no pointer of malloc's or the interpreter's has them."""
_OBJECT_BYTES = 320


def freed_memory_is_overwritten() -> bool:
    """Frees marked chunks of each size, and objects of the interpreter's, and looks at what is there then.

    False where the C library is another than glibc, or one that hasn't been told to; or where the interpreter has an
    allocator of its own.
    """
    libc = ctypes.CDLL(None)
    malloc, free = getattr(libc, "malloc", None), getattr(libc, "free", None)
    if malloc is None or free is None:
        return False
    malloc.restype, malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
    free.restype, free.argtypes = None, (ctypes.c_void_p,)
    return not (any(_leaves_marks(malloc, free, size) for size in SIZES) or _python_leaves_marks())


def _leaves_marks(malloc: ctypes._NamedFuncPointer, free: ctypes._NamedFuncPointer, size: int) -> bool:
    before, chunk, after = malloc(size), malloc(size), malloc(16)  # neighbours, so that the chunk isn't merged
    ctypes.memset(chunk, _MARK, size)
    free(chunk)
    # Reading freed memory: it is still this process's, since a neighbour behind it is in use.
    left = _RUN in ctypes.string_at(chunk + _LINKS // 2, max(0, size - _LINKS))
    free(before)
    free(after)
    return left


def _python_leaves_marks() -> bool:
    """Of a size that the interpreter's own allocator would take (to 512 bytes)."""
    marked = bytes((_MARK,)) * _OBJECT_BYTES
    text = id(marked) + sys.getsizeof(b"") - 1
    del marked
    # Half of it, so that the copy is no object of the same size, which could get the very place that it is made from.
    return _RUN in ctypes.string_at(text + _LINKS, _OBJECT_BYTES // 2)
