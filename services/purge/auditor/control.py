"""The positive control: a process that must be found guilty, in every audit.

It holds a photo as any program does that was given no special care: received from a pipe, copied by malloc and memcpy,
and all of it freed. A hunter that doesn't find it there is blind, and what it says of others counts nothing.
"""

from __future__ import annotations

import secrets
import subprocess
import sys

from services.purge.auditor.hunt import memory
from services.purge.auditor.hunt.index import Needle, NeedleIndex

_SIZE = 512 << 10  # bytes
# Nothing of ours is in its environment: no allocator's settings, and no import of the mesh.
_CODE = """
import ctypes, sys
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
photo = sys.stdin.buffer.read(int(sys.argv[1]))
# Copies of 4 KiB: larger ones may be mappings of their own, which go back to the kernel at once.
# malloc writes its lists into both ends of what is free, so the copies overlap and have margins.
copies = [libc.malloc(64 + 4096 + 64 + 64) for _ in range(0, len(photo), 4096)]
for number, copy in enumerate(copies):
    part = photo[number * 4096 : (number + 1) * 4096 + 64]
    ctypes.memmove(copy + 64, part, len(part))
del photo, part
# A last block stays, too large for a hole, so that the heap doesn't shrink.
last = libc.malloc(100_000)
for copy in copies[::-1]:
    libc.free(copy)
sys.stdout.write("freed\\n")
sys.stdout.flush()
sys.stdin.buffer.read()
"""


def found_share() -> float:
    """The share of the photo's windows that the hunter finds in the process that has freed it: at least
    ``services.purge.audit.CONTROL_ENOUGH``, or it is blind.

    Blocks. Raises NotPermitted.
    """
    data = secrets.token_bytes(_SIZE)
    index = NeedleIndex([Needle("control", data)])
    command = [sys.executable, "-I", "-c", _CODE, str(len(data))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={}) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(data)
            child.stdin.flush()
            child.stdout.readline()
            return len(memory.learn(child.pid, index)) / max(1, index.size)
        finally:
            child.kill()
