"""One self-contained HTML file from a run's result: headline figures, films, plots, tables. No script, no network.

The page is read on paper-white or in the dark, on a desk or on a telephone. A film that is not there, an interval that
is not known and a bar that is not met are all said in words.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from videosim.errors import VideoSimError
from videosim.plots import svg
from videosim.report_style import STYLE
from videosim.run import plain, write_atomically
from videosim.video import MAX_BYTES, Film

CARDS = 4  # figures shown large when the report names none
LINE = 24  # letters from which a cell is prose
SHARES = ("fraction", "rate")  # units of figures that are shown in per cent
VERDICTS = {"PASS": "pass", "FAIL": "fail", "INCONCLUSIVE": "open"}


@dataclass(frozen=True)
class Badge:
    """A table's cell that says something in a word and, by its ``kind`` (pass, fail, open), in colour. ``below``: small
    print. ``odd``: it is not what it should be, and outlined."""

    said: str
    kind: str
    below: str = ""
    odd: bool = False


@dataclass
class Table:
    """Rows of text, numbers and badges under column names. ``folded``: shown when asked for."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""
    folded: bool = False


@dataclass
class Report:
    """What a page shows.

    result    as in result.json: ``figures`` and, where known, command, config, versions, hardware, seeds
    summary   one or two sentences: what was done and what came out
    headline  names of the figures shown large; empty: the first ones
    labels    figure name -> words; a name without is spelled out from itself
    bars      figure name -> the least value asked of it; the interval's lower end must clear it to pass
    plots     mappings as ``plots.svg`` takes them, each with a ``title`` and perhaps a ``note``; one that is ``folded``
              is shown when asked for
    leading   tables that come before films and plots
    """

    title: str
    result: Mapping[str, Any]
    summary: str = ""
    headline: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    bars: Mapping[str, float] = field(default_factory=dict)
    films: Sequence[Film] = ()
    plots: Sequence[Mapping[str, Any]] = ()
    tables: Sequence[Table] = ()
    leading: Sequence[Table] = ()


def write_report(path: Path | str, report: Report) -> None:
    """Write the page to ``path``, whole or not at all."""
    write_atomically(path, render(report))


def render(report: Report) -> str:
    """The page as text. Raises VideoSimError on a headline that is no figure and on a film that is too large."""
    figures = plain(dict(report.result.get("figures") or {}))
    missing = [name for name in report.headline if name not in figures]
    if missing:
        raise VideoSimError(f"the headline names {missing[0]!r}, which is not among the figures {sorted(figures)}")
    heading = escape(report.title)
    parts = [
        f"<header><p class=kicker>videosim {escape(str(report.result.get('command', '')))}</p><h1>{heading}</h1>",
        f"<p class=lead>{escape(report.summary)}</p></header>" if report.summary else "</header>",
        _cards(report, figures),
        "".join(_section(table.title, _table(table)) for table in report.leading),
        _section("Films", "".join(_film(film) for film in report.films), "films"),
        _section("Plots", _plots(report.plots)),
        "".join(_section(table.title, _table(table)) for table in report.tables),
        _section("All figures", _figures(report, figures)),
        _section("How this was made", _provenance(report.result)),
    ]
    return (
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        '<meta name=color-scheme content="light dark">'
        f'<link rel=icon href="data:,"><title>{heading}</title><style>{STYLE}</style></head>\n'
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def verdict(figure: Mapping[str, Any], bar: float) -> str:
    """PASS, FAIL or INCONCLUSIVE: whether the interval lies above, below or across ``bar``.

    Without an interval the value decides; without a value it is a FAIL. An interval with one end only is open there."""
    value, low, high = (figure.get(key) for key in ("value", "low", "high"))
    if value is None:
        return "FAIL"
    if low is None and high is None:
        low = high = value
    if low is not None and low >= bar:
        return "PASS"
    return "FAIL" if high is not None and high < bar else "INCONCLUSIVE"


def _cards(report: Report, figures: Mapping[str, Any]) -> str:
    cards = []
    for name in report.headline or list(figures)[:CARDS]:
        figure = figures[name]
        unit = f" <small>{_unit(figure)}</small>" if _unit(figure) else ""
        below = _interval(figure)
        below = f"95 % interval {below}" if below else "no interval"
        mark = _badge(figure, report.bars[name]) if name in report.bars else ""
        cards.append(
            f"<div class=card><h3>{escape(_words(name, report.labels))}</h3>"
            f"<p class=big>{_amount(figure.get('value'), figure)}{unit}</p>"
            f"<p class=note>{below}</p>{mark}{_flag(figure)}</div>"
        )
    return f"<div class=cards>{''.join(cards)}</div>"


def _figures(report: Report, figures: Mapping[str, Any]) -> str:
    rows = []
    for name, figure in figures.items():
        bar = report.bars.get(name)
        asked = "" if bar is None else f"≥ {_amount(bar, figure)} {_badge(figure, bar)}"
        rows.append(
            f"<tr><th scope=row>{escape(_words(name, report.labels))}<code>{escape(name)}</code>{_flag(figure)}</th>"
            f"<td>{_amount(figure.get('value'), figure)}</td><td>{_interval(figure) or '–'}</td>"
            f"<td>{_shown(figure.get('n'))}</td><td class=text>{_unit(figure)}</td>"
            f"{f'<td class=text>{asked}</td>' if report.bars else ''}</tr>"
        )
    head = "".join(f"<th scope=col>{c}</th>" for c in ("figure", "value", "95 % interval", "n"))
    head += "<th scope=col class=text>unit</th>" + ("<th scope=col class=text>bar</th>" if report.bars else "")
    return _scrolling(head, "".join(rows)) if rows else ""


def _table(table: Table) -> str:
    kinds = ["", *(_kind([row[i] for row in table.rows]) for i in range(1, len(table.columns)))]
    named = list(zip(kinds, table.columns, strict=True)) if any(table.columns) else []
    head = "".join(f"<th scope=col{kind}>{escape(str(c))}</th>" for kind, c in named)
    body = ""
    for first, *rest in table.rows:
        cells = "".join(_cell(c, kind) for kind, c in zip(kinds[1:], rest, strict=True))
        body += f"<tr><th scope=row>{_shown(first)}</th>{cells}</tr>"
    whole = _scrolling(head, body) + _note(table.note)
    return _fold(f"{len(table.rows)} rows", whole) if table.folded else whole


def _kind(column: Sequence[Any]) -> str:
    """What the cells of a column have in common, as an attribute: badges stand in the middle, words are read from the
    left, prose is broken into lines."""
    if any(isinstance(value, Badge) for value in column):
        return " class=said"
    if any(isinstance(value, str) and len(value) > LINE for value in column):
        return " class=prose"
    words = all(isinstance(value, str) for value in column) and any(value[:1] not in "0123456789-–" for value in column)
    return " class=text" if words else ""


def _cell(value: Any, kind: str) -> str:
    if isinstance(value, Badge):
        below = f"<small>{escape(value.below)}</small>" if value.below else ""
        return f"<td class='said {value.kind}{' odd' if value.odd else ''}'><b>{escape(value.said)}</b>{below}</td>"
    return f"<td{kind}>{_shown(value)}</td>"


def _scrolling(head: str, body: str) -> str:
    top = f"<thead><tr>{head}</tr></thead>" if head else ""
    return f"<div class=scroll><table>{top}<tbody>{body}</tbody></table></div>"


def _fold(said: str, body: str) -> str:
    return f"<details><summary>{said}</summary>{body}</details>"


def _film(film: Film) -> str:
    if len(film.mp4) > MAX_BYTES:
        raise VideoSimError(f"the film {film.title!r} has {len(film.mp4):,} bytes of {MAX_BYTES:,}; show fewer frames")
    source = "data:video/mp4;base64," + base64.b64encode(film.mp4).decode()
    title = escape(film.title)
    return (
        f"<figure{' class=narrow' if film.narrow else ''}><figcaption><b>{title}</b>{_note(film.note)}</figcaption>"
        f"<video controls loop muted autoplay playsinline"
        f' aria-label="{title}" src="{source}"></video></figure>'
    )


def _plots(plots: Sequence[Mapping[str, Any]]) -> str:
    drawn = [(plot.get("folded", False), _plot(plot, f"plot{i}")) for i, plot in enumerate(plots)]
    open_, folded = ([figure for fold, figure in drawn if fold is wanted] for wanted in (False, True))
    shown = f"<div class=plots>{''.join(open_)}</div>" if open_ else ""
    return shown + (_fold(f"{len(folded)} more plots", f"<div class=plots>{''.join(folded)}</div>") if folded else "")


def _plot(plot: Mapping[str, Any], key: str) -> str:
    caption = f"<figcaption><b>{escape(plot['title'])}</b>{_note(plot.get('note', ''))}</figcaption>"
    return f"<figure>{caption}{svg(plot, key)}</figure>"


def _provenance(result: Mapping[str, Any]) -> str:
    parts = []
    for key in ("hardware", "versions", "seeds", "config"):
        if result.get(key):
            text = json.dumps(plain(result[key]), indent=2, ensure_ascii=False)
            parts.append(_fold(key, f"<pre>{escape(text)}</pre>"))
    return "".join(parts)


def _section(title: str, body: str, kind: str = "") -> str:
    return f"<section><h2>{escape(title)}</h2><div class='body {kind}'>{body}</div></section>" if body else ""


def _badge(figure: Mapping[str, Any], bar: float) -> str:
    said = verdict(figure, bar)
    return f"<span class='badge {VERDICTS[said]}'>{said} <span>bar {_amount(bar, figure)}</span></span>"


def _flag(figure: Mapping[str, Any]) -> str:
    return f"<p class=flag>{escape(figure['flag'])}</p>" if figure.get("flag") else ""


def _note(text: str) -> str:
    """A paragraph of ``text``, in which a command stands in backticks."""
    said = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    return f"<p class=note>{said}</p>" if text else ""


def _interval(figure: Mapping[str, Any]) -> str:
    low, high = figure.get("low"), figure.get("high")
    if low is None or high is None:
        return "" if low is None else f"{_amount(low, figure)} or more"
    return f"{_amount(low, figure)} to {_amount(high, figure)}"


def _amount(value: float | None, figure: Mapping[str, Any]) -> str:
    """``value`` in the unit of ``figure``."""
    share = figure.get("unit") in SHARES and value is not None
    return f"{number(100.0 * value)} %" if share else _shown(value)  # type: ignore[operator]


def _unit(figure: Mapping[str, Any]) -> str:
    unit = figure.get("unit") or ""
    return "" if unit in SHARES else escape(unit)


def _words(name: str, labels: Mapping[str, str]) -> str:
    return labels.get(name) or name.replace("_", " ").capitalize()


def _shown(value: Any) -> str:
    known = value is None or (isinstance(value, int | float) and not isinstance(value, bool))
    return number(value) if known else escape(str(value))


def number(value: float | None) -> str:
    """Three digits or more; a dash where there is none."""
    if value is None:
        return "–"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}" if abs(value) >= 100 else f"{value:.3g}"
