"""*Render*: scenes, the steps of recipes, the queue, engines and who took over for whom, marks, and the start."""

from __future__ import annotations

from deploy.dashboards.panel import Bars, Board, Figure, Graph, Limit, Row, mean, per_second, quantile, yes, zero

_WEEKS = 14 * 86_400

NOW = Row(
    "Now",
    (
        Figure(
            title="Scenes", says="Scenes that are served.", unit="none", queries=[("max(mayfly_render_scenes)", "")]
        ),
        zero(
            "Scenes refused",
            "A scene's folder is broken, so render goes on with what it had.",
            ("max(mayfly_render_scenes_refused)", ""),
            alerts=["MayflyScenesRefused"],
        ),
        yes(
            "Pictures say what they are",
            "Signed credentials and a watermark, on every picture.",
            ("min(mayfly_render_marking)", ""),
            alerts=["MayflyPicturesUnmarked"],
        ),
        Figure(
            title="Certificate ends in",
            says="Of the certificate that signs pictures; from its end on no picture leaves.",
            unit="s",
            queries=[
                (
                    "min((mayfly_render_credentials_expire_timestamp_seconds > 0) - time())"
                    " or on () 0 * max(mayfly_render_slots)",
                    "",
                )
            ],
            limit=Limit(_WEEKS, below=True),
            alerts=["MayflyCredentialsExpiring"],
        ),
        Figure(
            title="Cold start",
            says="Loading and warming the engines, the last time that render started.",
            unit="s",
            queries=[("max(mayfly_render_cold_start_seconds)", "")],
        ),
        Figure(
            title="Free slots",
            says="Engine slots that are not in use. At 0 photos wait.",
            unit="none",
            queries=[("sum(mayfly_render_slots) - sum(mayfly_render_slots_used)", "")],
            limit=Limit(-1, warns=0, below=True),  # 0 is worth a look, and nothing is bad
        ),
    ),
)

PICTURES = Row(
    "Pictures",
    (
        Graph(
            title="Pictures",
            says="Made, a second, by kind of scene.",
            unit="cps",
            queries=[(per_second("mayfly_render_seconds_count", "scene_kind"), "{{scene_kind}}")],
        ),
        Graph(
            title="Time in a slot",
            says="From engine slot to picture: 95 of 100 within, by kind of scene.",
            unit="s",
            queries=[(quantile(0.95, "mayfly_render_seconds", "scene_kind"), "{{scene_kind}}")],
        ),
        Graph(
            title="From lease to picture",
            says="What a family waits, by how much work the scene is: half of them within.",
            unit="s",
            queries=[(quantile(0.5, "mayfly_gateway_journey_seconds", "cost"), "{{cost}}")],
        ),
        Bars(
            title="Steps of recipes",
            says="Mean time of each step, over the time shown.",
            unit="s",
            queries=[(mean("mayfly_render_step_seconds", "step"), "{{step}}")],
            width=12,
            height=10,
        ),
        Bars(
            title="Where the time goes",
            says="Share of all steps' time, over the time shown.",
            unit="percentunit",
            queries=[
                (
                    "(sum by (step) (increase(mayfly_render_step_seconds_sum[$__range])) > 0)"
                    " / on () group_left () sum(increase(mayfly_render_step_seconds_sum[$__range]))",
                    "{{step}}",
                )
            ],
            full=1,
            width=12,
            height=10,
        ),
    ),
)

QUEUE = Row(
    "Queue",
    (
        Graph(
            title="Wait for a slot",
            says="From a photo's last byte to its engine slot: 95 of 100 within, by service class.",
            unit="s",
            queries=[(quantile(0.95, "mayfly_render_queue_wait_seconds", "service_class"), "{{service_class}}")],
        ),
        Graph(
            title="Waiting and worked on",
            says="Photos in the queue, slots in use, and slots.",
            unit="none",
            queries=[
                ("sum(mayfly_render_queue_photos)", "waiting"),
                ("sum(mayfly_render_slots_used)", "in use"),
                ("sum(mayfly_render_slots)", "slots"),
            ],
        ),
        Graph(
            title="Refused and failed",
            says="Photos a second without a picture: no place or no time for them, or a render that failed.",
            unit="cps",
            queries=[
                (per_second("mayfly_render_refused_total", "reason"), "refused: {{reason}}"),
                (per_second("mayfly_render_failed_total", "reason"), "failed: {{reason}}"),
            ],
            alerts=["MayflyRpcFailures"],
        ),
    ),
)

ENGINES = Row(
    "Engines and marks",
    (
        Graph(
            title="Taken over",
            says="Pictures a second that another engine made, since the first choice was away.",
            unit="cps",
            queries=[(per_second("mayfly_render_fallbacks_total", "engine", "instead"), "{{instead}} for {{engine}}")],
            width=6,
        ),
        Graph(
            title="Inference pools",
            says="Inferences a second, by processor of the pinned list and outcome. None: the networks are embedded.",
            unit="cps",
            queries=[
                (per_second("mayfly_render_pool_calls_total", "processor", "outcome"), "{{processor}} {{outcome}}")
            ],
            width=6,
        ),
        zero(
            "Impostors",
            "Endpoints where somebody else answers in a processor's place. No pixel goes there.",
            ("sum(mayfly_render_pool_impostors) or vector(0)", ""),
            alerts=["MayflyPoolImpostor"],
            height=7,
        ),
        Graph(
            title="Marked",
            says="Pictures a second that were signed as made by a machine.",
            unit="cps",
            queries=[(per_second("mayfly_render_marked_total", "scene_kind"), "{{scene_kind}}")],
            alerts=["MayflyPicturesUnmarked"],
        ),
        Bars(
            title="Decoder's work",
            says="Photos that render has decoded in isolation since its start, by how that ended.",
            unit="none",
            queries=[('sum by (outcome) (mayfly_isolation_jobs_total{service="render"})', "{{outcome}}")],
            alerts=["MayflyDecoderForbidden"],
            width=24,
        ),
    ),
)

BOARD = Board(
    name="render",
    title="Render",
    says="From photo to picture: scenes, steps, the queue, engines, and the marks on every picture.",
    rows=(NOW, PICTURES, QUEUE, ENGINES),
)
