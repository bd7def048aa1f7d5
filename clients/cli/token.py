"""`mayfly token`: signs somebody in at the mesh of this machine."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from clients.cli import options
from clients.cli.output import emit
from clients.local.state import StateFolder


class ServiceClass(StrEnum):
    STANDARD = "standard"
    PRIORITY = "priority"


def token(
    subject: Annotated[str, typer.Option(help="Who signs in.")] = "local-user",
    seconds: Annotated[int, typer.Option(min=1, max=3600, help="How long the token lasts.")] = 3600,
    service_class: Annotated[
        ServiceClass, typer.Option("--class", help="The share of the engines while they are busy.")
    ] = ServiceClass.STANDARD,
    as_json: options.Json = False,
    state: options.State = options.STATE,
) -> None:
    """Print a short-lived token of the development sign-in, for another client (grpcurl, a browser)."""
    from clients.local.sign_in import SignIn  # noqa: PLC0415 - imports cryptography

    minted = SignIn(StateFolder(state).pki).token(subject, seconds, service_class.value)
    if as_json:
        emit({"token": minted, "expires_in": seconds})
    else:
        print(minted)
