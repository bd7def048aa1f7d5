"""A JPEG turned without decoding its coefficients to pixels, by libjpeg's own tool where it is installed.

Nobody ships that transformation as a wheel that fits (docs/scrubbing.md), and it isn't something to write at home.
"""

from __future__ import annotations

import shutil
import subprocess

_OPTIONS = {
    2: ("-flip", "horizontal"),
    3: ("-rotate", "180"),
    4: ("-flip", "vertical"),
    5: ("-transpose",),
    6: ("-rotate", "90"),
    7: ("-transverse",),
    8: ("-rotate", "270"),
}
_SECONDS = 60.0


def turned(data: bytes, orientation: int) -> bytes | None:
    """The same coefficients, upright. None without jpegtran, and where a side that moves isn't a multiple of the MCU.

    ``data`` is scrubbed: what ``-copy all`` keeps of it is a colour profile of ours and Adobe's flag.
    """
    program = shutil.which("jpegtran")
    if program is None:
        return None
    command = [program, "-copy", "all", "-perfect", *_OPTIONS[orientation]]
    try:
        ran = subprocess.run(command, input=data, capture_output=True, check=False, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ran.stdout if ran.returncode == 0 else None
