"""The `mayfly` command. Heavy imports (gRPC, rich's parts) wait until a command needs them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from clients.cli import (
    audit,
    audit_log,
    collect,
    demo,
    down,
    evidence,
    failing,
    inspect,
    observe,
    purge,
    receipt,
    render,
    revoke,
    scenes,
    scrub,
    status,
    token,
    up,
    verify,
)
from clients.cli.exits import MEANINGS, ExitCode

# gRPC's core otherwise writes to the terminal what its connections do, such as that the gateway has closed one.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

_PANELS = (
    (
        "Photos",
        (
            scrub.scrub,
            render.render,
            scenes.scenes,
            collect.collect,
            revoke.revoke,
            receipt.receipt,
            verify.verify,
            audit_log.audit_log,
            inspect.inspect,
        ),
    ),
    ("The mesh on this machine", (up.up, down.down, status.status, token.token, demo.demo)),
    ("For operators", (purge.purge, audit.audit, observe.observe, evidence.evidence)),
)
_EPILOG = "Exit status: " + " · ".join(f"{int(code)} {meaning}" for code, meaning in MEANINGS)


def build() -> typer.Typer:
    """Every command, in the order in which --help shows them."""
    app = typer.Typer(
        name="mayfly",
        help="Turn a photo into a picture, and let go of the photo.",
        epilog=_EPILOG,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for panel, commands in _PANELS:
        for command in commands:
            app.command(rich_help_panel=panel)(command)
    return app


def run(args: Sequence[str]) -> int:
    """Runs one command; returns its exit status and never raises."""
    try:
        code = typer.main.get_command(build()).main(list(args), prog_name="mayfly", standalone_mode=False)
        if code == ExitCode.INTERRUPTED:  # Typer turns Ctrl-C into this
            raise KeyboardInterrupt
    except SystemExit as error:  # whoever reads our output had enough, or the demo was asked to end
        return error.code if isinstance(error.code, int) else ExitCode.INTERNAL
    except BaseException as error:  # the one place where every failure becomes a line and a status
        return failing.report(error, as_json="--json" in args)
    return code if isinstance(code, int) else 0


def main() -> None:
    sys.exit(run(sys.argv[1:]))
