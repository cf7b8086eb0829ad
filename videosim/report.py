"""One self-contained HTML file from a run's result: headline figures, films, plots, tables. No script, no network.

The page is read on paper-white or in the dark, on a desk or on a telephone. A film that is not there, an interval that
is not known and a bar that is not met are all said in words.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from videosim.errors import VideoSimError
from videosim.plots import svg
from videosim.run import plain, write_atomically
from videosim.video import MAX_BYTES, Film

CARDS = 4  # figures shown large when the report names none
LINE = 24  # letters from which a cell is prose
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
    """Rows of text, numbers and badges under column names."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""


@dataclass
class Report:
    """What a page shows.

    result    as in result.json: ``figures`` and, where known, command, config, versions, hardware, seeds
    summary   one or two sentences: what was done and what came out
    headline  names of the figures shown large; empty: the first ones
    labels    figure name -> words; a name without is spelled out from itself
    bars      figure name -> the least value asked of it; the interval's lower end must clear it to pass
    plots     mappings as ``plots.svg`` takes them, each with a ``title`` and perhaps a ``note``
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
        "".join(_section(t.title, _table(t.columns, t.rows, t.note)) for t in report.leading),
        _section("Films", "".join(_film(film) for film in report.films), "films"),
        _section("Plots", "".join(_plot(plot, f"plot{i}") for i, plot in enumerate(report.plots)), "plots"),
        "".join(_section(t.title, _table(t.columns, t.rows, t.note)) for t in report.tables),
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
        unit = f" <small>{escape(figure['unit'])}</small>" if figure.get("unit") else ""
        below = _interval(figure)
        below = f"95 % interval {below}" if below else "no interval"
        mark = _badge(figure, report.bars[name]) if name in report.bars else ""
        cards.append(
            f"<div class=card><h3>{escape(_words(name, report.labels))}</h3>"
            f"<p class=big>{_shown(figure.get('value'))}{unit}</p>"
            f"<p class=note>{below}</p>{mark}{_flag(figure)}</div>"
        )
    return f"<div class=cards>{''.join(cards)}</div>"


def _figures(report: Report, figures: Mapping[str, Any]) -> str:
    rows = []
    for name, figure in figures.items():
        bar = report.bars.get(name)
        asked = "" if bar is None else f"≥ {_shown(bar)} {_badge(figure, bar)}"
        rows.append(
            f"<tr><th scope=row>{escape(_words(name, report.labels))}<code>{escape(name)}</code>{_flag(figure)}</th>"
            f"<td>{_shown(figure.get('value'))}</td><td>{_interval(figure) or '–'}</td>"
            f"<td>{_shown(figure.get('n'))}</td>"
            f"<td class=text>{escape(figure.get('unit') or '')}</td><td class=text>{asked}</td></tr>"
        )
    head = "".join(f"<th scope=col>{c}</th>" for c in ("figure", "value", "95 % interval", "n"))
    head += "<th scope=col class=text>unit</th><th scope=col class=text>bar</th>"
    return _scrolling(head, "".join(rows)) if rows else ""


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]], note: str) -> str:
    kinds = ["", *(_kind([row[i] for row in rows]) for i in range(1, len(columns)))]
    head = "".join(f"<th scope=col{kind}>{escape(str(c))}</th>" for kind, c in zip(kinds, columns, strict=True))
    body = ""
    for first, *rest in rows:
        cells = "".join(_cell(c, kind) for kind, c in zip(kinds[1:], rest, strict=True))
        body += f"<tr><th scope=row>{_shown(first)}</th>{cells}</tr>"
    return _scrolling(head, body) + _note(note)


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
    return f"<div class=scroll><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


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


def _plot(plot: Mapping[str, Any], key: str) -> str:
    caption = f"<figcaption><b>{escape(plot['title'])}</b>{_note(plot.get('note', ''))}</figcaption>"
    return f"<figure>{caption}{svg(plot, key)}</figure>"


def _provenance(result: Mapping[str, Any]) -> str:
    parts = []
    for key in ("hardware", "versions", "seeds", "config"):
        if result.get(key):
            text = json.dumps(plain(result[key]), indent=2, ensure_ascii=False)
            parts.append(f"<details><summary>{key}</summary><pre>{escape(text)}</pre></details>")
    return "".join(parts)


def _section(title: str, body: str, kind: str = "") -> str:
    return f"<section><h2>{escape(title)}</h2><div class='body {kind}'>{body}</div></section>" if body else ""


def _badge(figure: Mapping[str, Any], bar: float) -> str:
    said = verdict(figure, bar)
    return f"<span class='badge {VERDICTS[said]}'>{said} <span>bar {_shown(bar)}</span></span>"


def _flag(figure: Mapping[str, Any]) -> str:
    return f"<p class=flag>{escape(figure['flag'])}</p>" if figure.get("flag") else ""


def _note(text: str) -> str:
    return f"<p class=note>{escape(text)}</p>" if text else ""


def _interval(figure: Mapping[str, Any]) -> str:
    low, high = figure.get("low"), figure.get("high")
    if low is None or high is None:
        return "" if low is None else f"{_shown(low)} or more"
    return f"{_shown(low)} to {_shown(high)}"


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


STYLE = """
:root{--paper:#fbfaf7;--card:#fff;--ink:#1c1e21;--faint:#6b7078;--rule:#e3e1da;--pass:#1c7a43;--fail:#b3261e;--open:#8a5a00;
--series-0:#1f5fbf;--series-1:#c25a12;--series-2:#2a8a57;--series-3:#8247b5;--series-4:#a83260;--series-5:#4a6572}
@media(prefers-color-scheme:dark){:root{--paper:#131519;--card:#1b1e24;--ink:#e9eaed;--faint:#9aa1ac;--rule:#2d313a;
--pass:#5fcf8d;--fail:#ff8a80;--open:#f0b95b;--series-0:#7db1ff;--series-1:#ffa566;--series-2:#6fd6a0;--series-3:#c79bf2;
--series-4:#f58cb4;--series-5:#a9bcc6}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1120px;margin:auto;padding:48px 24px 80px}
h1{font-size:2.1rem;line-height:1.2;margin:.1em 0 .3em}
h1,h2,.lead,figcaption{overflow-wrap:anywhere}
h2{font-size:1.25rem;margin:56px 0 14px}h3{font-size:.9rem;font-weight:600;margin:0;color:var(--faint)}
p{margin:0}.kicker{color:var(--faint);font-size:.9rem}.lead{max-width:44em;font-size:1.1rem}
.note,.flag{color:var(--faint);font-size:.87rem;font-weight:400}.flag{color:var(--open)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(225px,1fr));gap:16px;margin-top:32px}
.card,figure{background:var(--card);border:1px solid var(--rule);border-radius:10px;
padding:18px 20px;margin:0;min-width:0}
.big{font-size:2rem;font-weight:650;line-height:1.3;font-variant-numeric:tabular-nums}
.big small{font-size:1rem;font-weight:400}
.badge{display:inline-block;margin-top:6px;font-size:.78rem;font-weight:650;color:var(--faint);white-space:nowrap}
.badge span{font-weight:400}.pass{color:var(--pass)}.fail{color:var(--fail)}
.open{color:var(--open)}td .badge span{display:none}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,440px),1fr));gap:16px}
.films{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,440px),1fr));gap:16px}
.films figure{grid-column:1/-1}.films .narrow{grid-column:auto}
figcaption{margin-bottom:10px}video{display:block;width:100%;max-width:820px;border-radius:6px;background:#121418}
svg{display:block;width:100%;height:auto}.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.93rem;font-variant-numeric:tabular-nums}
th,td{padding:9px 14px 9px 0;border-bottom:1px solid var(--rule);text-align:right;vertical-align:top;white-space:nowrap}
thead th{color:var(--faint);font-weight:500}th:first-child,tr .text{text-align:left}tbody th{font-weight:500}
tbody th{white-space:normal;min-width:9em;position:sticky;left:0;background:var(--paper)}
.prose{text-align:left}td.prose{white-space:normal;min-width:11em}.said{text-align:center}th.said{padding-right:0}
td.said{padding:7px 8px;font-size:.78rem;border:2px solid var(--paper)}
.said+:not(.said){padding-left:14px}td.said b{display:block;font-weight:650}
td.said small{color:var(--faint);font-size:.72rem}
td.pass,td.fail,td.open{background:color-mix(in srgb,currentColor 13%,transparent)}
td.odd{outline:2px solid var(--fail);outline-offset:-3px}td.odd small{color:var(--fail);font-weight:650}
th code{display:block;color:var(--faint);font-size:.76rem;font-weight:400;overflow-wrap:anywhere}
details{border-bottom:1px solid var(--rule);padding:8px 0}
summary{cursor:pointer}pre{overflow-x:auto;font-size:.82rem}
@media(max-width:600px){main{padding:28px 16px 56px}h1{font-size:1.6rem}.card,figure{padding:14px}
h2{margin-top:40px}.cards{gap:10px}}
"""
