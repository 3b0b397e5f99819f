"""Where a run comes from and what came of it, as a row of boxes that stack on a phone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gfmp.report.page import escaped

LINEAGE_STYLE: Final = """
.lineage{display:flex;flex-wrap:wrap;gap:.6rem 1.4rem;list-style:none;padding:0;margin:1rem 0}
.lineage>li{flex:1 1 11rem;min-width:0;position:relative;border:1px solid #bbb;
border-radius:.3rem;padding:.5rem .7rem;background:#fafafa}
.lineage>li.present{border:2px solid #0072B2;background:#eef6fb}
.lineage>li:not(:last-child)::after{content:"\\2192";position:absolute;right:-1.25rem;top:.4rem;
color:#666}
.lineage h3{margin:0 0 .3rem;font-size:.8rem;text-transform:uppercase;letter-spacing:.04em;
color:#555}
.lineage p{margin:.2rem 0;overflow-wrap:anywhere;font-size:.85rem;line-height:1.35}
.lineage small{display:block;white-space:normal;color:#555}
@media (max-width:40rem){.lineage{flex-direction:column;gap:1.3rem}
.lineage>li{flex:0 0 auto}
.lineage>li:not(:last-child)::after{content:"\\2193";right:auto;left:1rem;top:auto;
bottom:-1.35rem}}
@media print{.lineage>li{break-inside:avoid}}
"""


@dataclass(frozen=True)
class Link:
    """One thing of a lineage.

    Attributes:
        name: What it is called.
        details: What else is worth knowing, a line each.
    """

    name: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stage:
    """Things of one kind, all made from those of the stages before.

    Attributes:
        title: The kind.
        links: The things.
        nothing: What stands there without any.
        present: True for the stage of the run itself.
    """

    title: str
    links: tuple[Link, ...]
    nothing: str = "none"
    present: bool = False


def lineage_html(stages: Sequence[Stage]) -> str:
    """Return the stages in the order things were made from each other."""
    return f'<ol class="lineage">{"".join(map(_stage, stages))}</ol>\n'


def _stage(stage: Stage) -> str:
    inside = "".join(map(_link, stage.links)) or f"<p>{escaped(stage.nothing)}</p>"
    tone = ' class="present"' if stage.present else ""
    return f"<li{tone}><h3>{escaped(stage.title)}</h3>{inside}</li>\n"


def _link(link: Link) -> str:
    details = "".join(f"<small>{escaped(one)}</small>" for one in link.details)
    return f"<p><strong>{escaped(link.name)}</strong>{details}</p>"
