"""The report as PDF (A4), set by matplotlib, whose text stays text."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime

import matplotlib
from matplotlib import font_manager
from matplotlib.backends.backend_pdf import FigureCanvasPdf, PdfPages
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font

from clients.evidence import plots
from clients.evidence.document import Block, Code, Heading, Plot, Table, Text, blocks
from clients.evidence.period import read_moment
from clients.evidence.report import Report

# Points, of which an inch has 72.
WIDTH, HEIGHT, MARGIN, FOOT = 595.0, 842.0, 54.0, 40.0
INNER = WIDTH - 2 * MARGIN
_LEADING = 1.4
_SANS, _MONO = "DejaVu Sans", "DejaVu Sans Mono"


def render(report: Report, beside: str, keyid: str) -> bytes:
    """Deterministic: the same report gives the same pages."""
    out = io.BytesIO()
    made = datetime.fromtimestamp(read_moment(report.value["made"]), UTC)
    about = {"Title": "Mayfly evidence report", "Creator": "mayfly evidence", "CreationDate": made}
    with matplotlib.rc_context(plots.TEXT_STAYS_TEXT), PdfPages(out, metadata=about) as pages:
        setter = _Setter(pages, report)
        setter.title(f"Mayfly · evidence report, made {report.value['made']}")
        for block in blocks(report, beside, keyid):
            setter.set(block)
        setter.finish()
    return out.getvalue()


class _Setter:
    """Sets blocks from the top of a page to its bottom, and goes on with the next."""

    def __init__(self, pages: PdfPages, report: Report) -> None:
        self._pages = pages
        self._report = report
        self._number = 0
        self._fonts: dict[tuple[str, bool], FT2Font] = {}
        self._begin()

    def title(self, text: str) -> None:
        self._lines([text], 10, bold=True, colour=plots.BAR)
        self._y -= 6

    def set(self, block: Block) -> None:
        match block:
            case Heading(text):
                self._need(60)
                self._y -= 12
                self._lines(self._wrap(text, 13, INNER, bold=True), 13, bold=True)
                self._y -= 4
            case Text(text, large):
                size = 15 if large else 9
                self._lines(self._wrap(text, size, INNER), size)
                self._y -= 6
            case Code(text):
                lines = [part for line in text.split("\n") for part in self._wrap(line, 7.5, INNER, mono=True)]
                self._lines(lines, 7.5, mono=True, colour=plots.SOFT)
                self._y -= 6
            case Plot(name, caption):
                self._plot(name)
                self._lines([caption], 8, colour=plots.SOFT)
                self._y -= 6
            case Table():
                self._table(block)

    def finish(self) -> None:
        self._end()

    def _begin(self) -> None:
        self._number += 1
        self._figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72))
        FigureCanvasPdf(self._figure)
        self._y = HEIGHT - MARGIN

    def _end(self) -> None:
        digest = self._report.digest
        self._put(
            f"SHA-256 of the signed report {digest} · page {self._number}", MARGIN, FOOT - 14, 6.5, colour=plots.SOFT
        )
        self._pages.savefig(self._figure)  # type: ignore[no-untyped-call]

    def _need(self, points: float) -> None:
        """A new page if there is no room for so much."""
        if self._y - points < FOOT:
            self._end()
            self._begin()

    def _lines(
        self, lines: Sequence[str], size: float, *, bold: bool = False, mono: bool = False, colour: str = plots.INK
    ) -> None:
        for line in lines:
            self._need(size * _LEADING)
            self._y -= size * _LEADING
            self._put(line, MARGIN, self._y, size, bold=bold, mono=mono, colour=colour)

    def _table(self, table: Table) -> None:
        numbers = [column.startswith("#") for column in table.columns]
        self._row([column.lstrip("#") for column in table.columns], table, numbers, head=True)
        for row in table.rows:
            self._row(row, table, numbers, head=False)
        self._y -= 10

    def _row(self, cells: Sequence[str], table: Table, numbers: Sequence[bool], *, head: bool) -> None:
        size, pad = 8.0, 8.0
        wrapped = [
            self._wrap(cell, size, INNER * share - pad, bold=head)
            for cell, share in zip(cells, table.widths, strict=True)
        ]
        high = max(map(len, wrapped)) * size * _LEADING + 3
        self._need(high)
        x = MARGIN
        for lines, share, number in zip(wrapped, table.widths, numbers, strict=True):
            for at, line in enumerate(lines, 1):
                y, edge = self._y - at * size * _LEADING, x + INNER * share - pad if number else x
                align = "right" if number else "left"
                self._put(line, edge, y, size, bold=head, colour=plots.SOFT if head else plots.INK, align=align)
            x += INNER * share
        self._y -= high
        rule = self._y - 1
        self._figure.add_artist(
            matplotlib.lines.Line2D(
                [MARGIN / WIDTH, 1 - MARGIN / WIDTH], [rule / HEIGHT] * 2, color="#d9dcd6", linewidth=0.6
            )
        )

    def _plot(self, name: str) -> None:
        high = INNER * plots.SIZE[1] / plots.SIZE[0]
        self._need(high + 20)
        self._y -= high
        left, low, top = 40.0, 32.0, 16.0  # room for what stands beside the axes
        place = (MARGIN + left, self._y + low, INNER - left, high - low - top)
        axes = self._figure.add_axes((place[0] / WIDTH, place[1] / HEIGHT, place[2] / WIDTH, place[3] / HEIGHT))
        plots.draw(name, self._report, axes)

    def _put(
        self,
        text: str,
        x: float,
        y: float,
        size: float,
        *,
        bold: bool = False,
        mono: bool = False,
        colour: str = plots.INK,
        align: str = "left",
    ) -> None:
        self._figure.text(
            x / WIDTH, y / HEIGHT, text, fontsize=size, color=colour, ha=align, va="bottom", parse_math=False,
            family=_MONO if mono else _SANS, weight="bold" if bold else "normal",
        )  # fmt: skip

    def _wrap(self, text: str, size: float, width: float, *, bold: bool = False, mono: bool = False) -> list[str]:
        """Lines that are no wider; a word that is, is cut."""
        lines, line = [], ""
        for word in text.split(" "):
            longer = f"{line} {word}" if line else word
            if self._width(longer, size, bold=bold, mono=mono) <= width:
                line = longer
                continue
            if line:
                lines.append(line)
            line = word
            while (fits := self._fits(line, size, width, bold=bold, mono=mono)) < len(line):
                lines.append(line[:fits])
                line = line[fits:]
        return [*lines, line]

    def _fits(self, word: str, size: float, width: float, *, bold: bool, mono: bool) -> int:
        """How many of its characters fit into one line; at least one."""
        fits = len(word)
        while fits > 1 and self._width(word[:fits], size, bold=bold, mono=mono) > width:
            fits -= 1
        return fits

    def _width(self, text: str, size: float, *, bold: bool, mono: bool) -> float:
        """In points."""
        key = (_MONO if mono else _SANS, bold)
        font = self._fonts.get(key)
        if font is None:
            chosen = font_manager.FontProperties(family=key[0], weight="bold" if bold else "normal")
            font = self._fonts[key] = font_manager.get_font(font_manager.findfont(chosen))
        font.set_size(size, 72)
        font.set_text(text, 0)
        return float(font.get_width_height()[0]) / 64
