"""The whole page. It says everything without JavaScript, as of the moment at which it was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.purge.evidence.words import escape

TITLE = "Where are the photos now?"


def page(
    pieces: Mapping[str, str], *, replica: str, origin: str, others: Sequence[str], question: str = "", answer: str = ""
) -> str:
    """pieces: of View. replica, origin: whom the page speaks for. others: origins of the other replicas' logs.

    question: what was looked up, if it can have been a photo_id or an index. answer: HTML.
    """
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{TITLE} · Mayfly</title>
<link rel="icon" href="/evidence/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/evidence/style.css">
<script src="/evidence/live.js" defer></script>
</head>
<body>
<header>
<p class="brand">Mayfly · evidence</p>
<h1>{TITLE}</h1>
<p class="sentence" id="sentence" aria-live="polite">{pieces["sentence"]}</p>
<div id="summary">{pieces["summary"]}</div>
<p class="as-of"><span id="as-of">{pieces["as-of"]}</span><span id="live" data-live="live: changes show by themselves"
data-lost="connection lost, trying again" data-full="too many readers: reload to see changes"></span>
<noscript> · reload to see what has changed</noscript></p>
</header>
<main>
<section aria-labelledby="h-flow"><h2 id="h-flow">The way of a photo</h2>
<p class="note">Admitted with a lease, held in memory by three services, ended with a receipt.
Coloured boxes hold a photo at this moment; the numbers at both ends are of the last 24 hours.</p>
<div id="flow">{pieces["flow"]}</div></section>
<section aria-labelledby="h-residency"><h2 id="h-residency">How long they lived</h2>
<p class="note">Photos that ended in the last 24 hours, by their receipts.</p>
<div id="residency">{pieces["residency"]}</div></section>
<section aria-labelledby="h-audit"><h2 id="h-audit">The last audit</h2>
<p class="note">Synthetic photos are sent through the mesh; then everything is searched for what is left of them.</p>
<div id="audit">{pieces["audit"]}</div></section>
<section class="wide" aria-labelledby="h-rules"><h2 id="h-rules">The nine rules</h2>
<div id="rules">{pieces["rules"]}</div></section>
<section aria-labelledby="h-log"><h2 id="h-log">The log</h2>
<p class="note">Each grant and each receipt stands in it for good, and nothing of a photo.
Anybody may <a href="/log/checkpoint">read it</a> and count again.</p>
<div id="log">{pieces["log"]}</div></section>
<section{' class="wide"' if answer else ""} aria-labelledby="look-up"><h2 id="look-up">Look up a receipt</h2>
<form method="get" action="/evidence#look-up">
<label for="receipt">photo_id (of the last hour), or the number of the receipt’s entry in the log</label>
<div class="ask"><input id="receipt" name="receipt" value="{escape(question)}" maxlength="64" autocomplete="off"
spellcheck="false" pattern="\\s*([0-9a-fA-F]{{32}}|[0-9]{{1,18}})\\s*"
title="32 hexadecimal digits, or a number"><button>Look up</button></div>
</form>
{answer}</section>
</main>
<footer>
<p>This page speaks for one replica of purge, <code>{escape(replica)}</code>,
and its log <code>{escape(origin)}</code>.{_others(others)}
It is made by the mesh about itself; what does not need its word is the log:</p>
<pre><code>mayfly audit-log URL/log/ --key keys.json     # every entry, recounted
mayfly evidence --since 30d --out report.pdf   # the same for a period, as a signed report</code></pre>
</footer>
</body>
</html>
"""


def _others(others: Sequence[str]) -> str:
    if not others:
        return ""
    names = ", ".join(f"<code>{escape(origin)}</code>" for origin in others)
    return f" The other replicas have pages of their own; their logs: {names}."
