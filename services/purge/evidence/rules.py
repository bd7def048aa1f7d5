"""The nine rules, in words for people, and for each the question to Prometheus that is answered by 0 while it holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """id: R1 to R9, the label ``rule`` of the alerts. query: PromQL; anything above 0 is a reason to look.

    alone: whether purge can see by itself that it holds. Then what purge does not know, no silent alert makes up for.
    """

    id: str
    name: str
    promise: str
    query: str
    alone: bool = True


_DAY = "[24h]"

RULES = (
    Rule(
        "R1",
        "Lease before bytes",
        "No byte of a photo is taken before there is a lease, which says when it ends.",
        f"sum(increase(mayfly_unleased_photos_total{_DAY})) or vector(0)",
        alone=False,
    ),
    Rule(
        "R2",
        "Memory, or keys that end",
        "A photo is in memory, or in Redis as ciphertext under a key that deletes itself.",
        "sum(mayfly_registry_keys_without_ttl)"
        ' + sum(mayfly_registry_violation{fact=~"long_ttl|unknown_keys|parked_plaintext"})',
    ),
    Rule(
        "R3",
        "No disk",
        "Nothing that touches a photo can write it to a disk.",
        'sum(mayfly_registry_violation{fact=~"save|appendonly|snapshot|replica_disk"})'
        ' + sum(mayfly_lockdown_control{control!="lockdown_permissive"} == bool 0)',
    ),
    Rule(
        "R4",
        "Bounded custody",
        "Nobody holds a photo longer than its lease, whatever else has failed.",
        "sum(mayfly_custody_overdue_photos) + sum(mayfly_custody_overdue) + sum(mayfly_leases_irrevocable)",
    ),
    Rule(
        "R5",
        "Nothing left behind",
        "Once a photo has ended, no piece of it can be found in memory, files, keys or logs.",
        "sum(mayfly_canary_residue_bytes) or vector(0)",
    ),
    Rule(
        "R6",
        "One receipt each",
        "Every photo that was admitted lives or has ended, and each end has exactly one signed receipt.",
        "abs(mayfly:leases_unaccounted)",
    ),
    Rule(
        "R7",
        "No identity, no fingerprint",
        "Logs, metrics and receipts say nothing about whose photo it was, or what is in it.",
        f"(sum(increase(mayfly_ingest_disagreements_total{_DAY})) or vector(0))"
        " + (sum(mayfly_log_fields_withheld) or vector(0))",
        alone=False,
    ),
    Rule(
        "R8",
        "In doubt, no photo",
        "When something is not as it must be, no photo is admitted.",
        "(sum(increase(mayfly_leases_granted_total[15s])) and on () max(max_over_time(mayfly_registry_safe[20s])) == 0)"
        " or vector(0)",
    ),
    Rule(
        "R9",
        "One purpose",
        "A photo serves the one request that it came with, and goes to no processor that is not listed.",
        f'(sum(increase(mayfly_isolation_jobs_total{{outcome="forbidden"}}{_DAY})) or vector(0))'
        " + (sum(mayfly_render_pool_impostors) or vector(0))",
        alone=False,
    ),
)
