"""The nine rules of the design, in its words: what the evidence page, reports and the policy matrix say of them.

Each has code that enforces it, a test that breaks it, a metric that shows it and alerts that carry its id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """id: R1 to R9, also the label ``rule`` of its alerts. name: a few words. says: all of it."""

    id: str
    name: str
    says: str


RULES = (
    Rule(
        "R1",
        "lease before bytes",
        "no photo byte is read off the wire before its lease exists; every downstream deadline is the lease's "
        "`expire_time`",
    ),
    Rule(
        "R2",
        "memory or short-lived keys",
        "a photo is in process memory, or in Redis as AEAD ciphertext under a TTL whose key is not in Redis. "
        "Every Redis key that Mayfly writes has a TTL",
    ),
    Rule(
        "R3",
        "no disk",
        "the kernel refuses writes (Landlock); no core dumps, no swap; Redis persistence off, checked at start and all "
        "the time",
    ),
    Rule(
        "R4",
        "bounded custody",
        "no holder outlives the lease, even when purge, Redis or the network is gone: each holder keeps its own clock",
    ),
    Rule(
        "R5",
        "nothing left behind",
        "after release, no window of the photo is findable in the memory of any process of the mesh",
    ),
    Rule(
        "R6",
        "one receipt each",
        "every lease that was granted ends in exactly one receipt in the log, whatever crashed. "
        "Admitted = live + settled + revoked + expired, always",
    ),
    Rule(
        "R7",
        "no identity, no fingerprint",
        "no user id, address, file name, metadata value, prompt, image hash or perceptual hash in logs, metrics, "
        "traces, receipts or keys. What may be said is an allow-list, not a deny-list",
    ),
    Rule(
        "R8",
        "fail closed",
        "no registry, no lease; persistence on, no lease; lockdown incomplete, no start; unknown key or field, refused",
    ),
    Rule(
        "R9",
        "purpose",
        "a photo serves the one request that it came with. Nothing reads it for another purpose, nothing sends it to a "
        "processor that is not on the pinned list",
    ),
)
BY_ID: Mapping[str, Rule] = {rule.id: rule for rule in RULES}
