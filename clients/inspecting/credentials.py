"""Reads Content Credentials, offline: nothing is fetched that a manifest may point to."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import c2pa

from clients.inspecting.report import Credentials
from clients.local.authority import UNTRUSTED
from mesh.errors import Invalid

_OFFLINE: Mapping[str, Any] = {
    "verify_after_reading": True,
    "verify_trust": True,
    "verify_timestamp_trust": False,
    "ocsp_fetch": False,
    "remote_manifest_fetch": False,
}


def read(data: bytes, media_type: str, anchors: str = "") -> Credentials | None:
    """anchors: certificates to trust, PEM. None if there are no credentials.

    Raises Invalid("CREDENTIALS_MALFORMED") for a manifest that can't be parsed.
    """
    settings: dict[str, Any] = {"version": 1, "verify": dict(_OFFLINE)}
    if anchors:
        settings["trust"] = {"trust_anchors": anchors}
    try:
        context = c2pa.Context.from_dict(settings)
        reader = c2pa.Reader(media_type, io.BytesIO(data), context=context)
        store = json.loads(reader.json())
        state = str(reader.get_validation_state() or "Invalid")
    except c2pa.C2paError.ManifestNotFound:
        return None
    except (c2pa.C2paError, ValueError):
        raise Invalid("CREDENTIALS_MALFORMED", "The picture's Content Credentials can't be read.") from None
    return _credentials(store, state.lower())


def _credentials(store: Mapping[str, Any], state: str) -> Credentials:
    manifests = list(store.get("manifests", {}).values())
    active = store.get("manifests", {}).get(store.get("active_manifest"), {})
    actions = [action for manifest in manifests for action in _actions(manifest)]
    assertions = [str(each.get("label", "")) for manifest in manifests for each in manifest.get("assertions", ())]
    signed = active.get("signature_info", {})
    signer = _word(signed.get("issuer", ""))
    return Credentials(
        state=state,
        problems=tuple(dict.fromkeys(_problems(store))),
        signer=signer,
        development=signer == UNTRUSTED,
        generator=", ".join(_generators(active)),
        actions=tuple(_word(action.get("action", "")) for action in actions),
        source_types=tuple(
            dict.fromkeys(_last(action["digitalSourceType"]) for action in actions if "digitalSourceType" in action)
        ),
        thumbnails=sum("thumbnail" in manifest for manifest in manifests)
        + sum("thumbnail" in label for label in assertions)
        + sum("thumbnail" in each for manifest in manifests for each in manifest.get("ingredients", ())),
        ingredients=sum(len(manifest.get("ingredients", ())) for manifest in manifests),
        times=sum("when" in action for action in actions)
        + sum("time" in manifest.get("signature_info", {}) for manifest in manifests),
        identities=sum(label.startswith(("cawg.identity", "stds.schema-org.CreativeWork")) for label in assertions),
    )


def _actions(manifest: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for assertion in manifest.get("assertions", ()):
        if str(assertion.get("label", "")).startswith("c2pa.actions"):
            yield from assertion.get("data", {}).get("actions", ())


def _problems(store: Mapping[str, Any]) -> Iterator[str]:
    """The status codes of C2PA's validation (specification 2.2, 15.2.2)."""
    found = store.get("validation_results", {}).get("activeManifest", {}).get("failure", ())
    for problem in (*found, *store.get("validation_status", ())):
        yield _word(problem.get("code", ""))


def _generators(manifest: Mapping[str, Any]) -> Iterable[str]:
    for each in manifest.get("claim_generator_info", ()):
        yield " ".join(filter(None, (_word(each.get("name", "")), _word(each.get("version", "")))))


def _last(uri: object) -> str:
    return _word(str(uri).rpartition("/")[2])


def _word(value: object) -> str:
    """A stranger's text, as it may be shown on a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(value))[:120]
