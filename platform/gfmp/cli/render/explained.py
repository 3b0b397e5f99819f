"""A field of a spec as a person reads it, or as JSON."""

from __future__ import annotations

from collections.abc import Sequence

from gfmp.cli.explaining import Explained
from gfmp.cli.render.text import as_json, echo, number, wrapped
from gfmp.spec.fields import Block, Field
from gfmp.spec.lookup import Found

_MOST_IN_FULL = 4


def show_explained(told: Sequence[Explained], json: bool) -> None:
    """Print what was asked for; of many things with one name only where they are."""
    if json:
        as_json([_json(one) for one in told])
        return
    if len(told) > _MOST_IN_FULL:
        echo(f"{len(told)} fields are called so; give more of the path:")
        for one in told:
            echo(wrapped(f"  {one.found.path}{_chosen(one.found.block)}: {_meaning(one)}", 6))
        return
    for place, one in enumerate(told):
        if place:
            echo()
        _show(one)


def show_fields(blocks: Sequence[Block], json: bool) -> None:
    """Print one line for every field of every kind."""
    if json:
        as_json([_field_json(block, field) for block in blocks for field in block.fields])
        return
    for field in (field for block in blocks for field in block.fields):
        echo(wrapped(f"{field.path}: {field.meaning}", 4))


def _show(told: Explained) -> None:
    found = told.found
    echo(found.path + _chosen(found.block))
    if found.field is None:
        _show_block(found.block)
        return
    field = found.field
    _line("meaning", field.meaning)
    _line("type", field.type)
    _line("default", "none: it must be given" if field.required else field.default)
    for rule in (*field.rules, *_about(field, found.block)):
        _line("refuses", rule)
    if told.value:
        _line("in the job", told.value)
    for row in told.rows:
        _line("plan", f"{row.name}: {number(row.value)} {row.unit}; {row.reason}")
    if told.decides and not told.rows:
        _line("decides", f"{', '.join(told.decides)} in gfmp plan JOB")
    _line("read by", found.block.defined)
    if found.also:
        _line("also at", ", ".join(found.also))
    for block in told.inside:
        echo()
        echo(f"{block.path}{_chosen(block)}")
        _show_block(block)


def _show_block(block: Block) -> None:
    for paragraph in block.meaning.split("\n\n"):
        echo(wrapped(f"  {paragraph}", 2))
    for rule in block.rules:
        _line("refuses", rule)
    for field in block.fields:
        default = "required" if field.required else f"default {field.default}"
        echo(wrapped(f"  {field.key} ({field.type}; {default}): {field.meaning}", 6))


def _line(label: str, text: str) -> None:
    echo(wrapped(f"  {label + ':':<11} {text}", 14))


def _chosen(block: Block) -> str:
    return f"  ({block.variant})" if block.variant else ""


def _meaning(told: Explained) -> str:
    found = told.found
    return found.field.meaning if found.field else found.block.meaning.split("\n\n")[0]


def _about(field: Field, block: Block) -> tuple[str, ...]:
    """Return the rules of a block that name a field."""
    return tuple(rule for rule in block.rules if field.key in rule.replace("`", " ").split())


def _json(told: Explained) -> dict[str, object]:
    found: Found = told.found
    if found.field is None:
        return {
            "path": found.path,
            "meaning": found.block.meaning,
            "variant": found.block.variant,
            "read_by": found.block.defined,
            "rules": found.block.rules,
            "fields": [_field_json(found.block, field) for field in found.block.fields],
        }
    rows = [{"name": row.name, "value": row.value, "reason": row.reason} for row in told.rows]
    more = {"decides": told.decides, "also": found.also, "value": told.value, "plan": rows}
    return {**_field_json(found.block, found.field), **more}


def _field_json(block: Block, field: Field) -> dict[str, object]:
    return {
        "path": field.path,
        "meaning": field.meaning,
        "type": field.type,
        "default": field.default,
        "required": field.required,
        "rules": (*field.rules, *_about(field, block)),
        "variant": block.variant,
        "read_by": block.defined,
    }
