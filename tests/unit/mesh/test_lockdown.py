"""The controls for real, in a process of their own."""

from __future__ import annotations

import json
from pathlib import Path

from tests.unit.mesh.programs import run

PROGRAM = """
import json, resource
from pathlib import Path
from mesh import lockdown
said = lockdown.apply()
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps({"said": said, "core": resource.getrlimit(resource.RLIMIT_CORE),
                  "nnp": status["NoNewPrivs"].strip(), "owner": Path("/proc/self/mem").stat().st_uid,
                  "again": lockdown.apply() == said}))
"""


def test_what_is_reported_is_what_the_kernel_says() -> None:
    done = run(PROGRAM)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    said = found["said"]
    assert set(said) == {"no_core_dumps", "not_dumpable", "no_new_privileges", "no_swap"}
    assert said["no_core_dumps"] is (found["core"] == [0, 0]) is True
    assert said["no_new_privileges"] is (found["nnp"] == "1") is True
    assert said["not_dumpable"] is True
    assert found["owner"] == 0  # an undumpable process's files belong to root (proc(5))
    assert said["no_swap"] is (len(Path("/proc/swaps").read_text().splitlines()) <= 1)
    assert found["again"] is True


def test_a_refused_control_is_not_reported() -> None:
    """seccomp makes prctl fail: what was asked for and didn't happen must not be said."""
    done = run("""
        import ctypes, json, struct
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(38, 1, 0, 0, 0)
        # BPF: prctl(PR_SET_DUMPABLE) -> EPERM, all else allowed (x86-64 157, arm64 167).
        import platform
        number = {"x86_64": 157, "aarch64": 167}[platform.machine()]
        code = [(0x20, 0, 0, 0), (0x15, 0, 3, number), (0x20, 0, 0, 16), (0x15, 0, 1, 4),
                (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]
        program = b"".join(struct.pack("HBBI", *line) for line in code)
        buffer = ctypes.create_string_buffer(program)
        filter = struct.pack("HxxxxxxP", len(code), ctypes.addressof(buffer))
        assert libc.prctl(22, 2, ctypes.create_string_buffer(filter), 0, 0) == 0, ctypes.get_errno()
        from mesh import lockdown
        print(json.dumps(lockdown.apply()))
    """)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["not_dumpable"] is False
    assert said["no_new_privileges"] is True
