"""Pieces of HTML: every text escaped, nothing fetched from anywhere."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gfmp.report.bootstrap import Estimate
from gfmp.report.figures import Picture

_STYLE: Final = """
:root{color-scheme:light}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;color:#1a1a1a;background:#fff;max-width:70rem;
margin:0 auto;padding:1rem}
h1{font-size:1.6rem;line-height:1.2}h2{font-size:1.25rem;margin-top:2.2rem;
border-bottom:1px solid #ccc}h3{font-size:1.05rem;margin-bottom:.3rem}
.scroll{overflow-x:auto;margin:.8rem 0}
table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums;
min-width:min(100%,44rem)}
caption{text-align:left;color:#444;padding:.3rem 0}
th,td{padding:.2rem .5rem;border-bottom:1px solid #ddd;text-align:left;vertical-align:top}
th{vertical-align:bottom}small{white-space:nowrap;font-size:.92em;font-weight:400;color:#333}
thead th{border-bottom:2px solid #888}
.better{background:#d9ecf7}.worse{background:#fbe3d3}
img{max-width:100%;height:auto}figure{margin:1rem 0}figcaption{color:#444;font-size:.85rem}
pre{overflow-x:auto;background:#f4f4f4;padding:.7rem}code{font-size:.85rem}
dt{font-weight:600;margin-top:.6rem}.warning{border-left:4px solid #d55e00;padding:.1rem .8rem}
details{margin:.6rem 0}summary{cursor:pointer}
@media print{body{max-width:none;padding:0;font-size:10pt}.scroll{overflow:visible}
figure,tr{break-inside:avoid}}
"""


def escaped(text: object) -> str:
    """Return text that is only text in HTML, in attributes too."""
    return html.escape(str(text), quote=True)


@dataclass(frozen=True)
class Datum:
    """One cell of a table.

    Attributes:
        text: What it says, not escaped.
        bold: Whether it stands out.
        tone: `better`, `worse` or nothing.
        details: What stands small beside it, or below where the column is narrow.
    """

    text: str
    bold: bool = False
    tone: str = ""
    details: tuple[str, ...] = ()

    def html(self, opening: str = "td") -> str:
        """Return the cell as HTML, `td` or a header with attributes."""
        inside = f"<strong>{escaped(self.text)}</strong>" if self.bold else escaped(self.text)
        inside += "".join(f" <small>{escaped(one)}</small>" for one in self.details)
        tone = f' class="{escaped(self.tone)}"' if self.tone else ""
        return f"<{opening}{tone}>{inside}</{opening[:2]}>"


def table(
    caption: str, header: Sequence[Datum | str], rows: Sequence[Sequence[Datum | str]]
) -> str:
    """Return a table that scrolls by itself on a narrow screen."""
    head = "".join(_datum(name).html('th scope="col"') for name in header)
    body = "".join(
        "<tr>" + "".join(_datum(value).html() for value in row) + "</tr>\n" for row in rows
    )
    return (
        f'<div class="scroll" tabindex="0"><table><caption>{escaped(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>\n"
    )


def _datum(value: Datum | str) -> Datum:
    return value if isinstance(value, Datum) else Datum(value)


def heading(text: str, level: int = 2) -> str:
    """Return a heading."""
    return f"<h{level}>{escaped(text)}</h{level}>\n"


def paragraph(text: str, tone: str = "") -> str:
    """Return a paragraph."""
    kind = f' class="{escaped(tone)}"' if tone else ""
    return f"<p{kind}>{escaped(text)}</p>\n"


def bullets(texts: Sequence[str]) -> str:
    """Return a list; nothing for no text."""
    items = "".join(f"<li>{escaped(text)}</li>\n" for text in texts)
    return f"<ul>{items}</ul>\n" if texts else ""


def folded(title: str, content: str) -> str:
    """Return HTML that opens when asked."""
    return f"<details><summary>{escaped(title)}</summary>\n{content}</details>\n"


def shell(commands: Sequence[str]) -> str:
    """Return commands to copy."""
    return f"<pre><code>{escaped(chr(10).join(commands))}</code></pre>\n"


def definitions(terms: Sequence[tuple[str, str]]) -> str:
    """Return terms with what they mean."""
    pairs = "".join(f"<dt>{escaped(a)}</dt><dd>{escaped(b)}</dd>\n" for a, b in terms)
    return f"<dl>{pairs}</dl>\n"


def figure(picture: Picture) -> str:
    """Return a figure as an image inside the page."""
    data = base64.b64encode(picture.files["svg"]).decode("ascii")
    return (
        f'<figure><img alt="{escaped(picture.title)}" src="data:image/svg+xml;base64,{data}">'
        f"<figcaption><strong>{escaped(picture.title)}.</strong> {escaped(picture.caption)} "
        f"Files: figures/{escaped(picture.name)}.png, .svg</figcaption></figure>\n"
    )


def document(title: str, body: str, style: str = "") -> str:
    """Return the whole page; `style` adds rules to those of every page."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f"<title>{escaped(title)}</title>\n<style>{_STYLE}{style}</style></head>\n"
        f"<body>\n{body}</body></html>\n"
    )


def number(value: float, *, signed: bool = False) -> str:
    """Return three digits after the point, or the word for a number that does not exist."""
    if np.isnan(value):
        return "undefined"
    return f"{value + 0.0:+.3f}" if signed else f"{value + 0.0:.3f}"


def with_interval(estimate: Estimate, *, signed: bool = False) -> Datum:
    """Return a number with its interval: `0.512 [0.480, 0.544]`."""
    value = number(estimate.value, signed=signed)
    if np.isnan(estimate.low):
        return Datum(value, details=() if value == "undefined" else ("[undefined]",))
    low, high = number(estimate.low, signed=signed), number(estimate.high, signed=signed)
    return Datum(value, details=(f"[{low}, {high}]",))
