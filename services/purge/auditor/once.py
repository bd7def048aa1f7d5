"""One audit and no more: `python -m services.purge.auditor.once`, as `mayfly audit` runs it.

On stdout one JSON object a line: ``{"progress", "done", "total"}`` as often as there is any, and at the end
``{"report": …}``. The exit status is 0 for a clean audit, 1 for any other, 78 for a wrong environment.
"""

from __future__ import annotations

import asyncio
import json
import sys

from mesh import log
from mesh.app import EX_CONFIG
from mesh.config import load
from mesh.errors import ConfigError
from services.purge.auditor.config import AuditorSettings
from services.purge.auditor.run import Report
from services.purge.auditor.wiring import SERVICE, assemble


def main() -> int:
    try:
        settings = load(AuditorSettings, SERVICE)
        log.configure(SERVICE, settings.instance)
        report = asyncio.run(_run(settings))
    except ConfigError as error:
        sys.stderr.write(f"{SERVICE}: {error}\n")
        return EX_CONFIG
    _say({"report": described(report)})
    return 0 if report.outcome == "clean" else 1


async def _run(settings: AuditorSettings) -> Report:
    auditor, _ = assemble(settings)
    try:
        return await auditor.audit(lambda what, done, total: _say({"progress": what, "done": done, "total": total}))
    finally:
        await auditor.close()


def described(report: Report) -> dict[str, object]:
    """The whole report, for programs."""
    return {
        "outcome": report.outcome,
        "canaries": dict(report.sent),
        "residue": [
            {"ending": ending, "service": service, "where": where, "bytes": size}
            for (ending, service, where), size in sorted(report.residue.items())
        ],
        "found": [
            {
                "ending": ending,
                "service": found.service,
                "where": found.where,
                "what": found.what.rpartition("/")[2],
                "bytes": found.bytes,
                "detail": found.detail,
            }
            for ending, found in report.found
        ],
        "searched": dict(report.searched),
        "memory": dict(report.memory),
        "not_searched": list(report.not_searched),
        "hunts": report.hunts,
        "hunting_seconds": round(report.hunting, 1),
        "seconds": round(report.seconds, 1),
        "control": round(report.control, 4),
        "reconciled": report.reconciled,
        "differences": report.differences,
        "failed": report.undone,
        "log_index": report.index,
    }


def _say(line: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
