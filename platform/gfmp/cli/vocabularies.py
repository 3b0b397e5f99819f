"""`gfmp register-vocab` and `gfmp vocab list | show | encode | check`."""

from __future__ import annotations

from pathlib import Path

import click

from gfmp.cli.completing import (
    complete_corpora,
    complete_recipes,
    complete_runs,
    complete_tasks,
    complete_vocabularies,
)
from gfmp.cli.options import json_option, workspace_option
from gfmp.storage.workspace import Workspace

DEFAULT_CORPUS = "demo"


@click.command("register-vocab")
@click.argument("name", shell_complete=complete_recipes)
@click.option(
    "--corpus",
    metavar="SPEC",
    shell_complete=complete_corpora,
    help=f"Corpus to learn from, a name in specs/corpora/ or a path. [default: {DEFAULT_CORPUS}]",
)
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Import a tokenizer.json or a vocab.txt instead of building.",
)
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a setting of the recipe, or its sample_bp, seed or family; stored with it.",
)
@workspace_option
def register_vocab(
    name: str,
    corpus: str | None,
    source: Path | None,
    assignments: tuple[str, ...],
    workspace: Workspace,
) -> None:
    """Build the vocabulary NAME (such as bpe4096 or kmer6), check it, and store it for good.

    A name nobody knows takes its family from --set, as in

    gfmp register-vocab mine --set family=kmer --set k=5
    """
    from gfmp.cli.registering import import_vocabulary, register
    from gfmp.cli.render.vocabularies import show_registered
    from gfmp.vocabulary.store import VocabularyStore

    if source is None:
        registered = register(name, corpus, assignments, workspace)
    else:
        registered = import_vocabulary(name, source, bool(corpus or assignments), workspace)
    show_registered(registered, VocabularyStore(workspace.vocabularies).get(name))


@click.group()
def vocab() -> None:
    """Look at registered vocabularies."""


@vocab.command("list")
@json_option
@workspace_option
def list_(as_json: bool, workspace: Workspace) -> None:
    """List the registered vocabularies and the recipes that can be built."""
    from gfmp.cli.registering import listing
    from gfmp.cli.render.vocabularies import show_listing

    show_listing(listing(workspace), as_json)


@vocab.command()
@click.argument("name", shell_complete=complete_vocabularies)
@json_option
@workspace_option
def show(name: str, as_json: bool, workspace: Workspace) -> None:
    """Show the numbers, the recipe and some words of the vocabulary NAME."""
    from gfmp.cli.render.vocabularies import show_vocabulary
    from gfmp.vocabulary.store import VocabularyStore

    store = VocabularyStore(workspace.vocabularies)
    show_vocabulary(store.get(name), store.recipe_json(name), as_json)


@vocab.command()
@click.argument("name", shell_complete=complete_vocabularies)
@click.argument("sequence")
@json_option
@workspace_option
def encode(name: str, sequence: str, as_json: bool, workspace: Workspace) -> None:
    """Encode SEQUENCE with the vocabulary NAME: tokens, ids and base offsets."""
    from gfmp.cli.render.vocabularies import show_encoded
    from gfmp.errors import UsageError
    from gfmp.vocabulary.registry import FamilyRegistry
    from gfmp.vocabulary.store import VocabularyStore

    vocabulary = VocabularyStore(workspace.vocabularies).get(name)
    if not sequence.isascii() or not sequence.isalpha():
        raise UsageError(
            f"{sequence[:40]!r} is not a sequence",
            why="a sequence is letters: A C G T, lower case too; others become [UNK]",
            fix=f"for example gfmp vocab encode {name} ACGTTGCA",
        )
    encoded = FamilyRegistry.discover().tokenizer(vocabulary).encode([sequence.encode("ascii")])
    show_encoded(vocabulary, encoded, as_json)


@vocab.command()
@click.argument("name", shell_complete=complete_vocabularies)
@json_option
@workspace_option
def check(name: str, as_json: bool, workspace: Workspace) -> None:
    """Check NAME against the contract that every vocabulary keeps."""
    from gfmp.cli.render.vocabularies import show_findings
    from gfmp.vocabulary.contract import findings
    from gfmp.vocabulary.registry import FamilyRegistry
    from gfmp.vocabulary.store import VocabularyStore

    vocabulary = VocabularyStore(workspace.vocabularies).get(name)
    tokenizer = FamilyRegistry.discover().tokenizer(vocabulary)
    show_findings(findings(vocabulary, tokenizer, seed=0), as_json)


@vocab.command()
@click.argument("task", shell_complete=complete_tasks)
@click.option(
    "--run",
    default="",
    metavar="PRETRAINED",
    shell_complete=complete_runs,
    help="Pretraining run that is probed.",
)
@click.option(
    "--vocabularies",
    default="",
    metavar="A,B,...",
    help="Candidates. [default: those of the run, else all registered]",
)
@json_option
@workspace_option
def advise(task: str, run: str, vocabularies: str, as_json: bool, workspace: Workspace) -> None:
    """Rank vocabularies for TASK: a name in specs/tasks/, a YAML file or a GUE folder.

    With --run a frozen probe of that model decides, on a few training and
    validation rows; without it the words shared with a BPE of the task do.
    Test rows are never looked at.
    """
    from gfmp.cli.advising import Question, advised
    from gfmp.cli.render.advice import show_advice

    show_advice(advised(Question(task, run, vocabularies), workspace), as_json)
