"""The report as one HTML file: no script, nothing from elsewhere."""

from __future__ import annotations

from html import escape

from clients.evidence import plots
from clients.evidence.document import Block, Code, Heading, Plot, Table, Text, blocks
from clients.evidence.report import Report

_STYLE = """
body { margin: 0 auto; max-width: 820px; padding: 28px 20px 60px; color: #1d2321; background: #fff;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 1rem; color: #1f5f5b; } h2 { font-size: 1.15rem; margin: 30px 0 6px; }
.large { font-size: 1.45rem; line-height: 1.35; }
table { border-collapse: collapse; width: 100%; margin: 10px 0 16px; table-layout: fixed; font-size: .92rem; }
th, td { text-align: left; vertical-align: top; padding: 4px 8px 4px 0; border-top: 1px solid #d9dcd6;
  overflow-wrap: anywhere; }
th { color: #5b6662; font-weight: 600; border-top: 0; } .n { text-align: right; font-variant-numeric: tabular-nums; }
pre { background: #f1f1ec; padding: 9px 11px; border-radius: 6px; white-space: pre-wrap; overflow-wrap: anywhere;
  font-size: .82rem; }
svg { width: 100%; height: auto; } figure { margin: 8px 0; } figcaption { font-size: .85rem; color: #5b6662; }
p { overflow-wrap: anywhere; }
@media print { body { max-width: none; } h2 { break-after: avoid; } figure, table { break-inside: avoid; } }
"""


def render(report: Report, beside: str, keyid: str) -> bytes:
    body = "\n".join(_block(block, report) for block in blocks(report, beside, keyid))
    period = report.value["period"]
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Mayfly evidence, {period["since"]} to {period["until"]}</title><style>{_STYLE}</style></head>
<body><h1>Mayfly · evidence report, made {escape(report.value["made"])}</h1>
{body}
</body></html>
""".encode()


def _block(block: Block, report: Report) -> str:
    match block:
        case Heading(text):
            return f"<h2>{escape(text)}</h2>"
        case Text(text, large):
            return f'<p class="large">{escape(text)}</p>' if large else f"<p>{escape(text)}</p>"
        case Code(text):
            return f"<pre><code>{escape(text)}</code></pre>"
        case Plot(name, caption):
            return f"<figure>{plots.svg(name, report)}<figcaption>{escape(caption)}</figcaption></figure>"
        case Table():
            return _table(block)


def _table(table: Table) -> str:
    kinds = [' class="n"' if column.startswith("#") else "" for column in table.columns]
    columns = "".join(f'<col style="width:{share * 100:g}%">' for share in table.widths)
    head = "".join(
        f"<th{kind}>{escape(name.lstrip('#'))}</th>" for name, kind in zip(table.columns, kinds, strict=True)
    )
    rows = "".join(
        "<tr>" + "".join(f"<td{kind}>{escape(cell)}</td>" for cell, kind in zip(row, kinds, strict=True)) + "</tr>"
        for row in table.rows
    )
    return f"<table><colgroup>{columns}</colgroup><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
