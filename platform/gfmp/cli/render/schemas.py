"""Kinds of documents and their JSON Schemas."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gfmp.cli.render.text import as_json, counted, echo, table
from gfmp.spec.kinds import Kind
from gfmp.spec.schema import HEADER
from gfmp.spec.words import summary


def show_kinds(kinds: Sequence[Kind], json: bool) -> None:
    """Print one row per kind of document."""
    rows = [(k.name, k.place, k.command, summary(k.model)) for k in kinds]
    if json:
        names = ("kind", "place", "command", "meaning")
        as_json([dict(zip(names, row, strict=True)) for row in rows])
        return
    table(("KIND", "PLACE", "TAKEN BY"), [row[:3] for row in rows])
    echo()
    echo("gfmp schema KIND prints its JSON Schema, gfmp explain KIND its keys in words.")


def show_schema(schema: dict[str, Any]) -> None:
    """Print a JSON Schema; keys keep the order they are declared in."""
    echo(json.dumps(schema, indent=1))


def show_written(paths: Sequence[Path]) -> None:
    """Say where the schemas are and how an editor finds one."""
    echo(f"{counted(len(paths), 'schema')} in {paths[0].parent}")
    echo("The first line of a YAML file names the schema of its kind, for example")
    echo(f"  {HEADER}{paths[0]}")
