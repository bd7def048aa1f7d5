"""What becomes of the JPEG, PNG, WebP and GIF files of this machine: accepted, or refused for which reason.

    python -m benchmarks.acceptance /usr/share .venv

Files are told by content, each content counted once, nothing written. What lies in packages is icons, documentation
and test data, some of it broken on purpose: hardly a phone's photo among them.
"""

from __future__ import annotations

import argparse
import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from mesh.errors import Invalid
from services.ingest.limits import Limits
from services.ingest.scrub import Scrubber
from services.ingest.verify import Verifier

_SIGNATURES = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG", b"GIF8": "GIF"}
_LIMITS = Limits()
ACCEPTED = "accepted"


def kind(head: bytes) -> str | None:
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    return next((name for signature, name in _SIGNATURES.items() if head.startswith(signature)), None)


def files(roots: list[Path]) -> Iterator[Path]:
    for root in roots:
        for folder, _, names in os.walk(root):
            yield from (Path(folder, name) for name in names)


def pictures(roots: list[Path], most: int) -> Iterator[tuple[str, Path, bytes]]:
    """At most ``most`` different files."""
    seen: set[bytes] = set()
    for path in files(roots):
        if path.is_symlink() or not path.is_file() or not os.access(path, os.R_OK):
            continue
        with path.open("rb") as file:
            found = kind(file.read(16))
            if found is None:
                continue
            file.seek(0)
            data = file.read(_LIMITS.max_bytes + 1)
        digest = hashlib.sha256(data).digest()
        if digest not in seen:
            seen.add(digest)
            yield found, path, data
        if len(seen) == most:
            return


def outcome(data: bytes) -> tuple[str, str]:
    """ACCEPTED or the reason, and the sentence with it. A disagreement ends the run: it is a bug."""
    scrubber, verifier = Scrubber(_LIMITS), Verifier()
    try:
        for _ in verifier.feed(scrubber.feed(data)):
            pass
        tail, facts = scrubber.finish()
    except Invalid as refused:
        return refused.reason, str(refused)
    for _ in verifier.feed(tail):
        pass
    verifier.finish(facts)
    return ACCEPTED, ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("roots", type=Path, nargs="+")
    parser.add_argument("--most", type=int, default=20_000, help="files (default: 20,000)")
    parser.add_argument("--list", action="store_true", help="name each file that was refused")
    given = parser.parse_args()
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for found, path, data in pictures(given.roots, given.most):
        reason, sentence = outcome(data)
        counts[found][reason] += 1
        if given.list and reason != ACCEPTED:
            print(f"{reason}\t{sentence}\t{path}")
    reasons = sorted({reason for counter in counts.values() for reason in counter} - {ACCEPTED})
    print("| " + " | ".join(["format", "files", "accepted", *(f"`{reason}`" for reason in reasons)]) + " |")
    print("| --- |" + " ---: |" * (2 + len(reasons)))
    for found, counter in sorted(counts.items()):
        cells = [sum(counter.values()), counter[ACCEPTED], *(counter[reason] for reason in reasons)]
        print(f"| {found} | " + " | ".join(f"{cell:,}" for cell in cells) + " |")


if __name__ == "__main__":
    main()
