"""What the shell offers after a Tab: runs, vocabularies, tasks, kinds and fields.

Asked with every Tab, so it looks at names of files and imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from gfmp.storage.workspace import Workspace


def complete_runs(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return the ids of runs that begin so, the newest first."""
    folder = _workspace(context).runs
    if not folder.is_dir():
        return []
    names = [path for path in folder.iterdir() if not path.name.startswith(".")]
    newest = sorted(names, key=lambda path: path.stat().st_mtime, reverse=True)
    return [path.name for path in newest if path.name.startswith(begun) and path.is_dir()]


def complete_vocabularies(
    context: click.Context, parameter: click.Parameter, begun: str
) -> list[str]:
    """Return the names of registered vocabularies that begin so."""
    folder = _workspace(context).vocabularies / "names"
    return _beginning(begun, (path.stem for path in folder.glob("*.json")))


def complete_recipes(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return names of recipes that begin so: those of the project and of installed families."""
    from gfmp.spec.project import named_folders
    from gfmp.vocabulary.recipes import recipe_files
    from gfmp.vocabulary.registry import FamilyRegistry

    folders = FamilyRegistry.discover().recipe_folders
    return _beginning(begun, recipe_files((*folders, *named_folders("vocabularies", Path.cwd()))))


def complete_tasks(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return the tasks of specs/tasks/ that begin so."""
    return _named("tasks", begun)


def complete_corpora(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return the corpora of specs/corpora/ that begin so."""
    return _named("corpora", begun)


def complete_clusters(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return the clusters of specs/clusters/ that begin so."""
    return _named("clusters", begun)


def complete_kinds(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return the kinds of documents that begin so."""
    from gfmp.spec.kinds import KINDS

    return _beginning(begun, KINDS)


def complete_fields(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return the paths of fields that begin so, one key further than what is typed."""
    from gfmp.spec.fields import all_blocks

    depth = begun.count(".") + 1
    paths = (field.path for block in all_blocks() for field in block.fields)
    return _beginning(begun, (".".join(path.split(".")[:depth]) for path in paths))


def _named(noun: str, begun: str) -> list[str]:
    from gfmp.spec.project import named_folders

    folders = named_folders(noun, Path.cwd())
    return _beginning(begun, (path.stem for f in folders for path in f.glob("*.yaml")))


def _beginning(begun: str, names: Iterable[str]) -> list[str]:
    return [name for name in dict.fromkeys(sorted(names)) if name.startswith(begun)]


def _workspace(context: click.Context) -> Workspace:
    """Return the workspace named on the line so far, else the usual one."""
    found = context.params.get("workspace")
    return found if isinstance(found, Workspace) else Workspace.at(None)
