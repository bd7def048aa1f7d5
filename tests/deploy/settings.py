"""Every environment variable of every service, read from its settings class."""

from __future__ import annotations

import ast
import importlib
import inspect
from dataclasses import dataclass, field
from typing import Any

from mesh.config import MeshSettings

SERVICES = ("gateway", "ingest", "render", "purge")
AUDITOR = "auditor"
"""Not a service that has photos; it is told what the services are told, and more."""
_MODULES = {AUDITOR: "services.purge.auditor.config"}


@dataclass(slots=True)
class Setting:
    """default: as it would be written in the environment; None if the variable must be set, "…" if it is worked out."""

    name: str
    default: str | None
    text: str
    services: list[str] = field(default_factory=list)

    @property
    def row(self) -> str:
        """What the table in docs/operations.md must begin this variable's row with."""
        who = "all" if set(SERVICES) <= set(self.services) else ", ".join(self.services)
        default = {None: "must be set", "": "none", "…": "see there"}.get(self.default, f"`{self.default}`")
        return f"| `{self.name}` | {who} | {default} |"


def settings_of(service: str) -> type[MeshSettings]:
    """The one settings class of a service."""
    module = importlib.import_module(_MODULES.get(service, f"services.{service}.config"))
    (found,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, MeshSettings) and value is not MeshSettings
    )
    return found


def settings() -> list[Setting]:
    """All of them, the shared ones first."""
    found: dict[str, Setting] = {}
    for service in (*SERVICES, AUDITOR):
        cls = settings_of(service)
        texts = _texts(MeshSettings) | _texts(cls)
        for field_name, info in cls.model_fields.items():
            name = f"MAYFLY_{field_name.upper()}"
            default = None if info.is_required() else "…" if info.default_factory else _written(info.default)
            setting = found.setdefault(name, Setting(name, default, texts.get(field_name, "")))
            setting.services.append(service)
    return list(found.values())


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _texts(cls: type) -> dict[str, str]:
    """The string below each field, which pydantic doesn't keep."""
    (body,) = (node.body for node in ast.parse(inspect.getsource(cls)).body if isinstance(node, ast.ClassDef))
    texts = {}
    for statement, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(following, ast.Expr):
            assert isinstance(statement.target, ast.Name)
            assert isinstance(following.value, ast.Constant)
            texts[statement.target.id] = " ".join(str(following.value.value).split())
    return texts
