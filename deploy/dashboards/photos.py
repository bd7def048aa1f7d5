"""*Where are the photos now*: every photo that the mesh holds, where, for how long, and that the others are gone."""

from __future__ import annotations

from deploy.dashboards.panel import Bars, Board, Figure, Graph, Limit, Row, grown, per_second, quantile, yes, zero

LIVE = 'sum(mayfly_leases{state=~"granted|active|parked|claimed|ending"})'
LONGEST = 300
"""Seconds of the longest lease: MAYFLY_PURGE_LEASE_CEILING's default."""
USUAL = 120
"""Seconds of a lease that nobody asked another time for: MAYFLY_PURGE_LEASE_DEFAULT's default."""
_HOLDERS = '{service!~"purge|auditor"}'  # those have the metrics and never a photo

NOW = Row(
    "Now",
    (
        Figure(title="Photos in the mesh", says="Leases that have not ended.", unit="none", queries=[(LIVE, "")]),
        Figure(
            title="Oldest photo",
            says="The age of the photo that a service has held longest. The usual lease is 120 s, the longest 300 s.",
            unit="s",
            queries=[("max(mayfly_custody_oldest_seconds)", "")],
            limit=Limit(LONGEST, warns=USUAL),
            alerts=["MayflyCustodyOverdue"],
        ),
        zero(
            "Held past the lease",
            "Photos in a service's memory whose time is over. Always 0.",
            ("max(mayfly_custody_overdue_photos or mayfly_custody_overdue)", ""),
            alerts=["MayflyCustodyOverdue", "MayflyLeaseIrrevocable"],
        ),
        Figure(
            title="Longest overdue lease",
            says="A lease past its end that has no receipt yet.",
            unit="s",
            queries=[("max(mayfly_lease_overdue_seconds)", "")],
            limit=Limit(2),
            alerts=["MayflyLeaseOverdue"],
        ),
        zero(
            "Keys that would stay",
            "Keys of Redis without a TTL. Always 0.",
            ("sum(mayfly_registry_keys_without_ttl)", ""),
            alerts=["MayflyKeyWithoutTtl"],
        ),
        yes(
            "Nothing goes to a disk",
            "Redis persistence is off, as purge attests it all the time.",
            ("min(mayfly_registry_safe)", ""),
            alerts=["MayflyRegistryUnsafe"],
        ),
    ),
)

HELD = Row(
    "Which service holds them",
    (
        Graph(
            title="Photos by service",
            says="Live custody at each hop, by the holder's own word.",
            unit="none",
            queries=[(f"sum by (service) (mayfly_custody_photos{_HOLDERS})", "{{service}}")],
            stacked=True,
        ),
        Graph(
            title="Bytes by service",
            says="Bytes of photos that each service has taken in and holds.",
            unit="bytes",
            queries=[(f"sum by (service) (mayfly_custody_bytes{_HOLDERS})", "{{service}}")],
            stacked=True,
        ),
        Graph(
            title="Oldest photo by service",
            says="Age of the photo held longest, against the longest lease.",
            unit="s",
            queries=[(f"max by (service) (mayfly_custody_oldest_seconds{_HOLDERS})", "{{service}}")],
            limit=Limit(LONGEST, warns=USUAL),
            alerts=["MayflyCustodyOverdue"],
        ),
        Graph(
            title="How long a service holds a photo",
            says="99 of 100 photos are released within this time.",
            unit="s",
            queries=[(quantile(0.99, "mayfly_custody_seconds", "service", where=_HOLDERS), "{{service}}")],
        ),
        Graph(
            title="Does purge see the same?",
            says="Holders that purge knows of, minus what the holders say themselves. 0 but for the blink of a report.",
            unit="none",
            queries=[
                ("sum by (service) (mayfly_custody_held) - sum by (service) (mayfly_custody_photos)", "{{service}}")
            ],
            signed=True,
            alerts=["MayflyCustodyStreamDown", "MayflyCountsDisagree"],
        ),
        Graph(
            title="Dropped or lost",
            says="Work that was cut off (by reason), and photos whose holder died.",
            unit="none",
            queries=[
                (grown("mayfly_custody_dropped_total", "service", "reason"), "dropped by {{service}}: {{reason}}"),
                (grown("mayfly_custody_lost_total", "service"), "lost by {{service}}"),
            ],
            alerts=["MayflyCustodyLost"],
        ),
    ),
)

FLOW = Row(
    "From admitted to ended",
    (
        Graph(
            title="Admitted and ended",
            says="Leases a second: what comes in, and how it ends.",
            unit="cps",
            queries=[
                (per_second("mayfly_leases_granted_total"), "admitted"),
                (per_second("mayfly_leases_ended_total", "outcome"), "{{outcome}}"),
            ],
        ),
        Graph(
            title="Leases by state",
            says="Where each lease is on its way.",
            unit="none",
            queries=[("sum by (state) (mayfly_leases)", "{{state}}")],
            stacked=True,
        ),
        Graph(
            title="From grant to receipt",
            says="How long photos live in the mesh, from the lease to the receipt that they are gone.",
            unit="s",
            queries=[
                (quantile(0.5, "mayfly_residency_seconds"), "half within"),
                (quantile(0.99, "mayfly_residency_seconds"), "99 of 100 within"),
            ],
            limit=Limit(LONGEST, warns=USUAL),
        ),
    ),
)

REDIS = Row(
    "Redis: short-lived keys, nothing on a disk",
    (
        Graph(
            title="Keys",
            says="All keys, and those that have no TTL.",
            unit="none",
            queries=[
                ("max(mayfly_registry_keys)", "keys"),
                ("max(mayfly_registry_keys_without_ttl)", "without a TTL"),
            ],
            alerts=["MayflyKeyWithoutTtl", "MayflyKeyUnsound"],
            width=6,
        ),
        Graph(
            title="Parked pictures",
            says="Encrypted pictures that wait for their owner.",
            unit="none",
            queries=[("sum(mayfly_parked_pictures)", "pictures")],
            width=5,
        ),
        Graph(
            title="Parked bytes",
            says="Ciphertext; the key is not in Redis.",
            unit="bytes",
            queries=[("sum(mayfly_parked_bytes)", "bytes")],
            width=5,
        ),
        yes(
            "Reachable",
            "Purge has an answer from its Redis.",
            ("min(mayfly_registry_up)", ""),
            alerts=["MayflyRegistryDown"],
            height=7,
        ),
        zero(
            "What is wrong with it",
            "Facts about Redis's set-up that break a rule, by name; 0 when there is none.",
            ("max by (fact) (mayfly_registry_violation) > 0 or on () vector(0)", "{{fact}}"),
            alerts=["MayflyRegistryUnsafe", "MayflyKeyUnsound"],
            height=7,
        ),
    ),
)

LISTENING = Row(
    "Does everybody listen, is everybody locked down",
    (
        yes(
            "Custody stream",
            "Purge hears this service's reports, and its revocations get there.",
            ('min by (service) (mayfly_custody_stream_up{service!="purge"})', "{{service}}"),
            alerts=["MayflyCustodyStreamDown"],
            width=6,
            height=5,
        ),
        zero(
            "Revocations unconfirmed",
            "A family took a photo back, and a holder has not said yet that it let go.",
            ("sum(mayfly_revocations_unconfirmed)", ""),
            alerts=["MayflyRevocationUnconfirmed"],
            height=5,
        ),
        yes(
            "Locked down",
            "Every control is in force in every process of the service, and it would not serve without one.",
            (
                'min by (service) (mayfly_lockdown_control{control!="lockdown_permissive"}'
                ' or 1 - mayfly_lockdown_control{control="lockdown_permissive"})',
                "{{service}}",
            ),
            alerts=["MayflyLockdownIncomplete"],
            width=8,
            height=5,
        ),
        zero(
            "Controls missing",
            "Lockdown controls that are not in force, by service; 0 when there is none.",
            (
                'count by (service, control) (mayfly_lockdown_control{control!="lockdown_permissive"} == 0)'
                " or on () vector(0)",
                "{{service}} {{control}}",
            ),
            alerts=["MayflyLockdownIncomplete"],
            width=6,
            height=5,
        ),
    ),
)

CANARY = Row(
    "Canaries: is anything left behind",
    (
        zero(
            "Left in memory, files, Redis",
            "Bytes of synthetic photos that the last audit has found after their end. Always 0.",
            ("sum by (service) (mayfly_canary_residue_bytes)", "{{service}}"),
            alerts=["MayflyCanaryResidue"],
            unit="bytes",
            width=8,
            height=5,
        ),
        Figure(
            title="Since the last clean audit",
            says="Twice the interval between two audits is too long.",
            unit="s",
            queries=[("time() - max(mayfly_canary_last_clean_timestamp_seconds > 0)", "")],
            limit=Limit(1800, warns=1000),
            alerts=["MayflyAuditSilent"],
            height=5,
        ),
        Figure(
            title="Would it have found something",
            says="Share of the positive control, bytes that are planted to be found, which the last audit found.",
            unit="percentunit",
            queries=[("min(mayfly_canary_control_ratio) and on () sum(mayfly_canary_runs_total) > 0", "")],
            limit=Limit(0.9, below=True),
            alerts=["MayflyAuditSilent"],
            height=5,
        ),
        Bars(
            title="Canaries by how they ended",
            says="Synthetic photos since the auditor's start, in every way a photo can end.",
            unit="none",
            queries=[("sum by (ending) (mayfly_canary_sent_total)", "{{ending}}")],
            height=5,
        ),
        zero(
            "Countings that disagree",
            "Leases about which metrics, Redis and the log have not agreed for several looks, by countings.",
            ("max by (countings) (mayfly_reconciliation_differences) > 0 or on () vector(0)", "{{countings}}"),
            alerts=["MayflyCountsDisagree"],
            height=6,
        ),
        Bars(
            title="Searched by the last audit",
            says="Bytes of each place that were searched for remains.",
            unit="bytes",
            queries=[("sum by (where) (mayfly_canary_searched_bytes)", "{{where}}")],
            width=8,
            height=6,
        ),
        Graph(
            title="Swept up after photos",
            says="How long a photo has been gone after which connections and memory were not swept yet.",
            unit="s",
            queries=[("max by (service) (mayfly_unswept_seconds)", "{{service}}")],
            limit=Limit(10),
            alerts=["MayflyMemoryUnswept"],
            width=12,
            height=6,
        ),
    ),
)

BOARD = Board(
    name="where-are-the-photos-now",
    title="Where are the photos now",
    says="Every photo that Mayfly holds, where, for how long, and the proof that the others are gone.",
    rows=(NOW, HELD, FLOW, REDIS, LISTENING, CANARY),
)
