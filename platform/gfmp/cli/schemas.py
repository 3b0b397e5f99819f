"""`gfmp schema` and `gfmp explain`: what may stand in the YAML files."""

from __future__ import annotations

from pathlib import Path

import click

from gfmp.cli.completing import complete_fields, complete_kinds
from gfmp.cli.options import JOB, json_option, workspace_option
from gfmp.errors import UsageError
from gfmp.storage.workspace import Workspace


@click.command()
@click.argument("kind", required=False, shell_complete=complete_kinds)
@click.option(
    "--write",
    "folder",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Write the schemas of all kinds into FOLDER instead, one file each.",
)
@json_option
def schema(kind: str | None, folder: Path | None, as_json: bool) -> None:
    """Print the JSON Schema of documents of KIND, for editors.

    Without KIND, lists the kinds. An editor with the YAML language server checks and
    completes a file whose first line names its schema, as those of gfmp init do.
    """
    from gfmp.cli.render.schemas import show_kinds, show_schema, show_written
    from gfmp.cli.writing import write_schemas
    from gfmp.spec.kinds import KINDS, find_kind
    from gfmp.spec.schema import json_schema

    if kind is not None and folder is not None:
        raise UsageError(
            "give a KIND or --write, not both",
            why="--write writes the schemas of all kinds",
            fix=f"gfmp schema {kind} > FILE writes one of them",
        )
    if folder is not None:
        show_written(write_schemas(folder))
    elif kind is None:
        show_kinds(tuple(KINDS.values()), as_json)
    else:
        show_schema(json_schema(find_kind(kind)))


@click.command()
@click.argument("field", required=False, shell_complete=complete_fields)
@click.option("--job", type=JOB, metavar="FILE", help="Tell also what it is in this job.")
@click.option("--all", "everything", is_flag=True, help="Tell every field of every kind.")
@click.option("--markdown", is_flag=True, help="Print Markdown: with --all, the reference page.")
@json_option
@workspace_option
def explain(
    field: str | None,
    job: Path | None,
    everything: bool,
    markdown: bool,
    as_json: bool,
    workspace: Workspace,
) -> None:
    """Say what FIELD of a job or spec means: type, default, rules, what it decides.

    FIELD is a kind and keys with dots between, the end of such a path, or a short form:
    pretrain.optimiser.learning_rate, learning_rate and pretrain.optimiser.lr are one.
    """
    from gfmp.cli.explaining import explained
    from gfmp.cli.render.explained import show_explained, show_fields
    from gfmp.cli.render.reference import show_reference
    from gfmp.spec.fields import all_blocks

    if (field is None) != everything or (markdown and not everything) or (job and everything):
        raise UsageError(
            "give one FIELD, or --all (with --markdown for the page)",
            why="one field is told in full, with --job also as it is there; all are a list",
            fix="for example gfmp explain pretrain.optimiser.learning_rate",
        )
    if markdown:
        show_reference(all_blocks())
    elif field is None:
        show_fields(all_blocks(), as_json)
    else:
        show_explained(explained(field, job, workspace), as_json)
