"""The parts of the page that change while somebody looks at it, each as a piece of HTML."""

from __future__ import annotations

import re

from mesh.rules import Rule
from services.purge.audit import WHOLE
from services.purge.evidence import flow, residency
from services.purge.evidence.audits import Seen
from services.purge.evidence.checkpoints import Head
from services.purge.evidence.figures import Figures
from services.purge.evidence.judging import Verdict
from services.purge.evidence.own import State
from services.purge.evidence.prometheus import state_query
from services.purge.evidence.watch import Look
from services.purge.evidence.words import amount, clock, count, escape, moment, plural, table

_QUOTED = re.compile("`([^`]*)`")
_WORD = {State.KEPT: "kept", State.PENDING: "in doubt", State.BROKEN: "broken", State.UNKNOWN: "not judged"}
_SIGN = {State.KEPT: "✓", State.PENDING: "!", State.BROKEN: "✗", State.UNKNOWN: "?"}
_KIND = {"clean": State.KEPT, "residue": State.BROKEN, "incomplete": State.UNKNOWN}
_OUTCOME = {"clean": "Clean", "residue": "Something was left", "incomplete": "Incomplete"}


def sentence(figures: Figures) -> str:
    """What the page is there for."""
    now, *rest = figures.sentence()
    return f"<strong>{now}</strong>; " + "; ".join(part for part in rest if part) + "."


def summary(look: Look) -> str:
    """All nine rules in one line."""
    if not look.verdicts:
        return '<p class="summary pending"><span>!</span> Purge is starting</p>'
    by_state = {state: [v.rule.id for v in look.verdicts if v.state is state] for state in State}
    if broken := [f"{v.rule.id} {_name(v.rule)}" for v in look.verdicts if v.state is State.BROKEN]:
        return _summary(State.BROKEN, f"Broken: {'; '.join(broken)}")
    kept = f"{len(by_state[State.KEPT])} of {len(look.verdicts)} rules kept, none known to be broken"
    if pending := by_state[State.PENDING]:
        return _summary(State.PENDING, f"In doubt: {', '.join(pending)}; {kept}")
    if unknown := by_state[State.UNKNOWN]:
        return _summary(State.UNKNOWN, f"{kept}; not judged here: {', '.join(unknown)}")
    return _summary(State.KEPT, f"All {len(look.verdicts)} rules kept")


def _summary(state: State, text: str) -> str:
    return f'<p class="summary {state}"><span aria-hidden="true">{_SIGN[state]}</span> {text}</p>'


def as_of(look: Look) -> str:
    return f"As of {clock(look.at)}"


def flow_picture(figures: Figures) -> str:
    return flow.draw(figures)


def residency_picture(figures: Figures) -> str:
    return residency.draw(figures)


def rules(look: Look) -> str:
    """Each rule with its state, since when, and what it was judged by."""
    if not look.asked:
        note = (
            "Judged by what this replica of purge sees itself. It has not been told of a Prometheus, which would also "
            "know what the other services count; the queries below are for yours."
        )
    elif not look.answered:
        note = (
            "Prometheus does not answer now, or not as Prometheus does, so this is what this replica of purge sees "
            "itself."
        )
    else:
        note = "Judged by what this replica of purge sees itself, and by the alerts of Prometheus."
    return (
        f'<p class="note">{note}</p><ol class="rules">{"".join(_rule(verdict, look) for verdict in look.verdicts)}</ol>'
    )


def _rule(verdict: Verdict, look: Look) -> str:
    rule, state = verdict.rule, verdict.state
    since = ""
    if verdict.since is not None:
        since = (
            f'<p class="since">{"Since" if verdict.since.exact else "Since at least"} {moment(verdict.since.when)}</p>'
        )
    elif state is State.UNKNOWN and verdict.found.elsewhere:
        since = f'<p class="since">Purge can’t see this by itself{_why_unknown(verdict, look)}</p>'
    return (
        f'<li class="rule {state}" id="{rule.id}"><h3><span class="state"><span class="sign" aria-hidden="true">'
        f'{_SIGN[state]}</span> {_WORD[state]}</span> <span class="id">{rule.id}</span> {_name(rule)}</h3>'
        f'<p class="promise">{_says(rule)}</p>{_alerts(verdict)}'
        f'<p class="said">{_code(verdict.found.sentence)}</p>{since}'
        f'<details id="{rule.id}-query"><summary>The query behind it</summary>{_behind(verdict)}</details></li>'
    )


def _why_unknown(verdict: Verdict, look: Look) -> str:
    """How it comes that nobody else says it, either."""
    if not look.answered:
        return "; Prometheus can."
    if verdict.alerts is None or not verdict.alerts.watching:
        return ", and no alert of Prometheus is about it."
    if verdict.alerts.failing:
        return ", and Prometheus can’t work out its alerts now."
    return ", and Prometheus does not reach each process that can."


def _name(rule: Rule) -> str:
    return escape(_capital(rule.name))


def _says(rule: Rule) -> str:
    return _code(f"{_capital(rule.says)}.")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _code(text: str) -> str:
    """Words of ours, with what stands between back-quotes as code."""
    return _QUOTED.sub(r"<code>\1</code>", escape(text))


def _alerts(verdict: Verdict) -> str:
    if verdict.alerts is None:
        return ""
    firing = [f"{escape(name)} since {moment(at)}" for name, at in verdict.alerts.firing.items()]
    pending = [f"{escape(name)} (about to) since {moment(at)}" for name, at in verdict.alerts.pending.items()]
    lines = firing + pending
    return f'<p class="alert">Alert: {"; ".join(lines)}</p>' if lines else ""


def _behind(verdict: Verdict) -> str:
    """What the state was made of: what purge looks at, and the alerts that Prometheus was asked for."""
    looks_at = verdict.found.looks_at
    own = f"Purge itself looks at: {escape(looks_at)}." if looks_at else "Purge itself can look at nothing."
    asked = (
        f"<p>{own}</p><p>Prometheus answers 0 while no alert of the rule fires, or is about to (1; firing is 2):</p>"
        f"<pre><code>{escape(state_query(verdict.rule.id))}</code></pre>"
    )
    if verdict.alerts is None or not verdict.alerts.watching:
        return asked
    failing = f" Could not be evaluated: {escape(', '.join(verdict.alerts.failing))}." if verdict.alerts.failing else ""
    watching = "".join(
        f"<p>{escape(name)}:</p><pre><code>{escape(expression)}</code></pre>"
        for name, expression in sorted(verdict.alerts.watching.items())
    )
    return f"{asked}<p>Each alert fires while its own query is answered.{failing}</p>{watching}"


def audit(seen: Seen | None) -> str:
    """The last canary audit."""
    if seen is None:
        return (
            '<p class="none">No audit is in this log yet. <code>mayfly audit</code> sends synthetic photos through the '
            "mesh and searches everything for what is left of them.</p>"
        )
    statement = seen.statement
    found, sent = sum(each.bytes for each in statement.residue), sum(statement.canaries.values())
    places = ", ".join(f"{place} {amount(size)}" for place, size in statement.searched.items() if size)
    entry = f'<a href="?receipt={seen.index}#look-up">the log’s entry {count(seen.index)}</a>'
    rows = [
        ("When", moment(statement.time)),
        ("Bytes found", f'<b class="{"broken" if found else "kept"}">{count(found)}</b>' + _where(seen)),
        ("Synthetic photos", f"{count(sent)}, in {plural(len(statement.canaries), 'way')} of ending"),
        ("Searched", places or "nothing"),
        ("Out of reach, as declared", ", ".join(statement.not_searched)),
        ("Does the search see?", f"{statement.control / WHOLE:.1%} of a planted control was found"),
        ("Do all countings agree?", {True: "yes", False: "no", None: "not counted"}[statement.reconciled]),
        ("In the log", f"{entry} is this statement, signed by the auditor’s key <code>{escape(seen.keyid)}</code>"),
    ]
    kind = _KIND[statement.outcome]
    sign = f'<span class="sign" aria-hidden="true">{_SIGN[kind]}</span>'
    return f'<p class="outcome {kind}">{sign} {_OUTCOME[statement.outcome]}</p>{table(rows)}'


def _where(seen: Seen) -> str:
    places = [f"{amount(each.bytes)} in {escape(each.service)}, {each.where}" for each in seen.statement.residue]
    return f" ({'; '.join(places)})" if places else ""


def log(head: Head) -> str:
    """The log's newest checkpoint."""
    cosigned = ", ".join(f"{escape(name)} at {moment(at)}" for name, at in head.cosigned) or head.why_not
    rows = [
        ("Log", f"<code>{escape(head.checkpoint.origin)}</code>"),
        ("Entries", count(head.checkpoint.size)),
        ("Root hash", f"<code>{head.checkpoint.root.hex()}</code>"),
        ("Signed", moment(head.signed) if head.signed is not None else "before purge’s last start"),
        ("Cosigned by", cosigned),
    ]
    note = (
        '<details id="note"><summary>The checkpoint as it was signed</summary>'
        f"<pre><code>{escape(head.note)}</code></pre>"
        "<p>Whoever keeps these lines elsewhere can show later that nothing before them was rewritten: "
        "<code>mayfly audit-log --checkpoint FILE</code>.</p></details>"
    )
    return table(rows) + note
