"""Chaos runs on meshes of its own; what it shares with the end-to-end tests comes from there."""

from tests.e2e.conftest import _models, fresh_mesh, portrait

__all__ = ["_models", "fresh_mesh", "portrait"]
