"""A self-contained HTML page: text, tables and pictures in one file that needs no network.

Everything that comes in is escaped here; only this file makes markup.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2126; --muted: #5c6670; --rule: #dfe3e7; --paper: #fff; --card: #f6f7f9;
  --accent: #0a5c94; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ec; --muted: #9aa5b0; --rule: #343b43; --paper: #15191e; --card: #1d2329; --accent: #7cc0ee; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1.5rem 1rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.6rem 0 .6rem; padding-bottom: .25rem; border-bottom: 1px solid var(--rule); }
p { margin: .4rem 0; }
.muted, caption, figcaption { color: var(--muted); font-size: .875rem; }
.score { margin: 1rem 0 0; font-size: 2.6rem; line-height: 1.1; font-weight: 650; color: var(--accent); }
.score small { font-size: .95rem; font-weight: 400; color: var(--muted); display: block; margin-top: .3rem; }
nav { margin-top: 1.2rem; font-size: .9rem; }
nav a { margin-right: 1rem; white-space: nowrap; }
a { color: var(--accent); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; }
caption { text-align: left; padding-bottom: .4rem; }
th, td { padding: .3rem .9rem .3rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--rule); }
thead th { color: var(--muted); font-weight: 600; }
tbody th { font-weight: 500; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
figure { margin: .8rem 0; overflow-x: auto; }
figure img { display: block; max-width: 100%; height: auto; background: #fff; border-radius: 6px; }
@media (prefers-color-scheme: dark) { figure img { padding: 8px; } }
pre { background: var(--card); padding: .8rem 1rem; border-radius: 6px; overflow-x: auto; font-size: .85rem; }
details { margin: .6rem 0; }
summary { cursor: pointer; color: var(--accent); }
@media (max-width: 30rem) { .score { font-size: 2rem; } th, td { padding-right: .6rem; }
  figure img.wide { max-width: none; width: 38rem; } }
@media print { body { max-width: none; font-size: 11pt; padding: 0; } nav { display: none; }
  h2 { break-after: avoid; } figure, tr { break-inside: avoid; } pre { white-space: pre-wrap; } }
"""
_WIDE = 600  # pictures wider than this are not shrunk to a phone's width but scrolled


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    anchor: str
    title: str
    parts: Sequence[str]


def page(title: str, head: Sequence[str], sections: Sequence[Section]) -> str:
    """The whole document.

    Args:
        title: of the document, and its first heading.
        head: markup below the title.
        sections: in order; each is linked at the top.
    """
    links = "\n".join(f'<a href="#{escape(s.anchor)}">{escape(s.title)}</a>' for s in sections)
    body = "\n".join(
        f'<section aria-labelledby="{escape(s.anchor)}">\n<h2 id="{escape(s.anchor)}">{escape(s.title)}</h2>\n'
        + "\n".join(s.parts)
        + "\n</section>"
        for s in sections
    )
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
{chr(10).join(head)}
<nav aria-label="Sections">{links}</nav>
</header>
<main>
{body}
</main>
</body>
</html>
"""


def paragraph(text: str, *, muted: bool = False) -> str:
    """A paragraph.

    Example:
        >>> paragraph("<b>", muted=True)
        '<p class="muted">&lt;b&gt;</p>'
    """
    return f'<p class="muted">{escape(text)}</p>' if muted else f"<p>{escape(text)}</p>"


def big_score(value: str, note: str) -> str:
    """The figure that is read first, and a line about it."""
    return f'<p class="score">{escape(value)}<small>{escape(note)}</small></p>'


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], *, numeric: Sequence[int] = (), caption: str = "") -> str:
    """A table whose first column heads its rows.

    Args:
        head: of the columns; empty for none.
        rows: cells, shown as text.
        numeric: columns that hold numbers: right and in even digits.
        caption: above it.
    """
    right = dict.fromkeys(numeric, ' class="number"')
    top = "".join(f'<th scope="col"{right.get(i, "")}>{escape(name)}</th>' for i, name in enumerate(head))
    lines = [
        f'<tr><th scope="row">{escape(str(row[0]))}</th>'
        + "".join(f"<td{right.get(i, '')}>{escape(str(cell))}</td>" for i, cell in enumerate(row[1:], start=1))
        + "</tr>"
        for row in rows
    ]
    named = f"<caption>{escape(caption)}</caption>" if caption else ""
    headed = f"<thead><tr>{top}</tr></thead>" if head else ""
    return f'<div class="scroll"><table>{named}{headed}<tbody>{"".join(lines)}</tbody></table></div>'


def picture(png: bytes, alt: str, *, width: int) -> str:
    """A PNG inside the page.

    Args:
        png: its bytes.
        alt: what it shows, for those who do not see it.
        width: in CSS pixels.
    """
    data = base64.b64encode(png).decode("ascii")
    wide = ' class="wide"' if width > _WIDE else ""
    return f'<figure><img{wide} width="{width}" src="data:image/png;base64,{data}" alt="{escape(alt)}"></figure>'


def code(text: str) -> str:
    """Preformatted text."""
    return f"<pre><code>{escape(text)}</code></pre>"


def folded(title: str, body: str) -> str:
    """Markup behind a line that opens it."""
    return f"<details><summary>{escape(title)}</summary>{body}</details>"
