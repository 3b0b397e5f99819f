"""The reference page of all specs, as Markdown made from the specs themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from gfmp.cli.render.text import echo
from gfmp.plan.decides import decided_by
from gfmp.spec.fields import Block, Field
from gfmp.spec.kinds import KINDS

_HEAD = """# Every key of every YAML file

Made from the specs by `gfmp explain --all --markdown`; do not edit it. `gfmp explain FIELD` says
the same of one key, and `gfmp schema KIND` prints the JSON Schema for editors. Unknown keys are
errors. **Required** keys have no default. Rules are quoted as gfmp tells them; `...` stands for a
value of the document. Keys of a list are those of each of its items."""


def show_reference(blocks: Sequence[Block]) -> None:
    """Print the page."""
    for line in reference_lines(blocks):
        echo(line)


def reference_lines(blocks: Sequence[Block]) -> Iterator[str]:
    """Yield the lines of the page: one part for each kind, one table for each class.

    A class that stands at several places is told at the first.
    """
    yield from _HEAD.splitlines()
    yield ""
    for kind in KINDS:
        yield f"* [`{kind}`](#{kind}): {_first(_root(blocks, kind))}"
    told: dict[str, str] = {}
    for kind, group in groupby(blocks, key=lambda block: block.path.split(".")[0]):
        yield from ("", f"## {kind}", "")
        yield f"Files in `{KINDS[kind].place}`; `{KINDS[kind].command}`."
        for block in group:
            if block.defined not in told:
                told[block.defined] = _title(block)
                yield from _table(block)
            elif block.path.count("."):
                yield from ("", f"`{_title(block)}`: the keys of `{told[block.defined]}`.")


def _root(blocks: Sequence[Block], kind: str) -> Block:
    return next(block for block in blocks if block.path == kind)


def _first(block: Block) -> str:
    return block.meaning.split("\n\n")[0]


def _title(block: Block) -> str:
    return f"{block.path} ({block.variant})" if block.variant else block.path


def _table(block: Block) -> Iterator[str]:
    if "." in block.path:
        yield from ("", f"### `{_title(block)}`")
    yield from ("", block.meaning, "")
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    for field in block.fields:
        yield _row(field)
    if block.rules:
        yield ""
        yield f"Refuses: {'; '.join(block.rules)}."


def _row(field: Field) -> str:
    default = "**required**" if field.required else f"`{field.default}`"
    if field.default in ("nothing", "those of its keys"):
        default = field.default
    words = field.meaning
    if field.rules:
        words += f" Refuses: {'; '.join(field.rules)}."
    if rows := decided_by(field.path):
        words += f" In the plan: {', '.join(rows)}."
    cells = (f"`{field.key}`", field.type, default, words)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
