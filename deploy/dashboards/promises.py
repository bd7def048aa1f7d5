"""*Promises*: the nine rules, the service levels and their budgets, and that every lease has its end."""

from __future__ import annotations

from deploy.dashboards.alerting import state
from deploy.dashboards.panel import Bars, Board, Figure, Graph, Limit, Query, Row, grown, per_second, quantile, zero
from deploy.dashboards.photos import LIVE, LONGEST, USUAL
from deploy.dashboards.slos import ALERTS, LEVELS

_RULES = (
    ("Lease before bytes", "No photo byte is read before its lease exists."),
    ("Memory or short-lived keys", "Every key has a TTL; what is in Redis is ciphertext whose key is elsewhere."),
    ("No disk", "The kernel refuses writes; Redis persists nothing."),
    ("Bounded custody", "No holder outlives the lease, whoever else is gone."),
    ("Nothing left behind", "No piece of an ended photo is findable in any memory or file."),
    ("One receipt each", "Admitted = live + settled + revoked + expired, always."),
    ("No identity, no fingerprint", "What may be said of a photo is an allow-list."),
    ("Fail closed", "No registry, no lease; an unsafe registry, no lease."),
    ("Purpose", "A photo serves its one request, and goes to nobody who is not on the list."),
)


RULES = Row(
    "The nine rules",
    tuple(state(f"R{number}", f"R{number} {title}", says) for number, (title, says) in enumerate(_RULES, 1)),
)

# By the gateway, or by somebody with its certificate. At the gateway, any app can send its photo too early.
_BROUGHT = '{service=~"ingest|render"}'
# At least one number for each rule, each of which is 0 where it is kept. Counters: how they grew in the time shown.
_BEHIND: tuple[Query, ...] = (
    (grown("mayfly_unleased_photos_total", where=_BROUGHT, window="$__range"), "R1 photos without a lease, refused"),
    ("sum(mayfly_registry_keys_without_ttl)", "R2 keys without a TTL"),
    ('sum(mayfly_registry_violation{fact=~"long_ttl|unknown_keys|parked_plaintext"})', "R2 unsound keys"),
    ("sum(1 - mayfly_registry_safe)", "R3 unsafe registries"),
    ('count(mayfly_lockdown_control{control!="lockdown_permissive"} == 0) or vector(0)', "R3 missing controls"),
    ("sum(mayfly_custody_overdue_photos)", "R4 photos held past their lease"),
    ("sum(mayfly_leases_irrevocable)", "R4 leases never confirmed"),
    ("sum(mayfly_canary_residue_bytes)", "R5 bytes of canaries left"),
    ("sum(mayfly_receipts_unlogged)", "R6 receipts not logged yet"),
    ("abs(mayfly:leases_unaccounted)", "R6 leases unaccounted for"),
    (grown("mayfly_ingest_disagreements_total", window="$__range"), "R7 photos that the verifier stopped"),
    ("sum(mayfly_log_fields_withheld)", "R7 log fields withheld"),
    ("sum(mayfly_metric_values_withheld_total)", "R7 metric values withheld"),
    ("sum(1 - mayfly_registry_up)", "R8 registries away"),
    (grown("mayfly_isolation_jobs_total", where='{outcome="forbidden"}', window="$__range"), "R9 decoders killed"),
    ("sum(mayfly_render_pool_impostors) or vector(0)", "R9 impostors"),
)
BEHIND = Row(
    "The numbers behind the rules",
    (
        zero(
            "0 where the rule is kept",
            "What breaks a rule, or nearly did; of counters what they grew by in the time shown.",
            *_BEHIND,
            alerts=["MayflyScrubDisagreement", "MayflyLogFieldWithheld", "MayflyPoolImpostor"],
            width=24,
            height=8,
        ),
    ),
)

LEVEL = Row(
    "Service levels",
    (
        Bars(
            title="Budget that is left",
            says="Of the failures that each objective allows in the time shown. 0: used up. –: nothing was asked for.",
            unit="percentunit",
            queries=[(level.left("$__range"), level.name) for level in LEVELS],
            limit=Limit(0, warns=0.5, below=True),
            full=1,
            alerts=ALERTS,
            width=12,
            height=8,
        ),
        Graph(
            title="How fast budgets are used",
            says="1: just as fast as the objective allows. At 14.4 a month's budget is gone in two days.",
            unit="none",
            queries=[(level.burn(), level.name) for level in LEVELS],
            limit=Limit(14.4, warns=6),
            alerts=ALERTS,
            width=12,
            height=8,
        ),
        Bars(
            title="Gone within",
            says="Share of photos whose receipt was signed within so many seconds of their lease's grant.",
            unit="percentunit",
            queries=[
                (
                    f'sum(increase(mayfly_residency_seconds_bucket{{le="{seconds}.0"}}[$__range]))'
                    " / sum(increase(mayfly_residency_seconds_count[$__range]))",
                    f"{seconds} s",
                )
                for seconds in (10, 30, 60, 121, 301)
            ],
            full=1,
        ),
        Graph(
            title="Deletion lag",
            says="From when a lease is to end (delivered, taken back, over) to its receipt: 99 of 100.",
            unit="s",
            queries=[(quantile(0.99, "mayfly_deletion_lag_seconds", "outcome"), "{{outcome}}")],
            limit=Limit(1),
            alerts=["MayflyDeletionLagBurn"],
        ),
        Graph(
            title="Residency",
            says="From grant to receipt, by outcome: 99 of 100 photos live no longer.",
            unit="s",
            queries=[(quantile(0.99, "mayfly_residency_seconds", "outcome"), "{{outcome}}")],
            limit=Limit(LONGEST, warns=USUAL),
            alerts=["MayflyResidencyBurn"],
        ),
        Graph(
            title="Picture after",
            says="From lease to picture, by how much work the scene is: 95 of 100 within.",
            unit="s",
            queries=[(quantile(0.95, "mayfly_gateway_journey_seconds", "cost"), "{{cost}}")],
            alerts=["MayflyLatencyBurn"],
            width=12,
        ),
        Graph(
            title="Failures among all answers",
            says="Internal errors, unavailable peers and missed deadlines, over five minutes.",
            unit="percentunit",
            queries=[("mayfly:rpc_failures:ratio_rate5m", "{{job}}")],
            limit=Limit(0.05),
            alerts=["MayflyRpcFailures"],
            width=12,
        ),
    ),
)

CONSERVATION = Row(
    "Admitted = live + settled + revoked + expired",
    (
        Figure(
            title="Admitted",
            says="Leases since the log's first entry.",
            unit="none",
            queries=[("sum(mayfly_leases_granted_total)", "")],
        ),
        Figure(title="Live", says="Leases that have not ended.", unit="none", queries=[(LIVE, "")]),
        Figure(
            title="Ended",
            says="Leases by how they ended, since the log's first entry.",
            unit="none",
            queries=[("sum by (outcome) (mayfly_leases_ended_total)", "{{outcome}}")],
            width=8,
        ),
        zero(
            "Unaccounted for",
            "Admitted minus live minus ended. 0, but for the blink of a scrape; below 0 while purge starts.",
            ("mayfly:leases_unaccounted", ""),
            alerts=["MayflyConservationBroken", "MayflyGrantWithoutEnd"],
        ),
        zero(
            "Not in the log yet",
            "Leases that ended and whose receipt is not logged.",
            ("sum(mayfly_receipts_unlogged)", ""),
            alerts=["MayflyReceiptsUnlogged"],
        ),
        Graph(
            title="Receipts",
            says="Signed and logged, a second, by outcome.",
            unit="cps",
            queries=[(per_second("mayfly_receipts_total", "outcome"), "{{outcome}}")],
            width=6,
        ),
        Graph(
            title="Unaccounted for, over time",
            says="Never above 0 for long, and level but for purge's restarts.",
            unit="none",
            queries=[
                ("mayfly:leases_unaccounted", "counted by purge"),
                ("sum(mayfly:log_grants_unaccounted)", "by the log"),
            ],
            signed=True,
            alerts=["MayflyConservationBroken", "MayflyGrantWithoutEnd"],
            width=6,
        ),
        Graph(
            title="The log",
            says="Entries, and those under a signed checkpoint.",
            unit="none",
            queries=[
                ("sum(mayfly_log_entries)", "entries"),
                ("sum(mayfly_log_integrated_entries)", "under a checkpoint"),
            ],
            alerts=["MayflyLogLagging"],
            width=6,
        ),
        Graph(
            title="Time to disk of an entry",
            says="A grant is durable in the log before the app may send its photo: 99 of 100 within.",
            unit="s",
            queries=[(quantile(0.99, "mayfly_log_sync_seconds"), "99 of 100 within")],
            width=6,
        ),
    ),
)

BOARD = Board(
    name="promises",
    title="Promises",
    says="Whether each rule is kept, what is left of each budget, and that no lease is missing its end.",
    rows=(RULES, BEHIND, LEVEL, CONSERVATION),
)
