"""Where a pretraining run comes from and what this workspace has made from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gfmp.errors import GfmpError
from gfmp.genome.manifest import MANIFEST_NAME, Manifest
from gfmp.ledger.references import References, references_of
from gfmp.ledger.run import Run
from gfmp.ledger.store import RunStore
from gfmp.report.lineage import Link, Stage
from gfmp.storage.atomic import read_json
from gfmp.storage.workspace import Workspace
from gfmp.vocabulary.store import VocabularyStore
from gfmp.vocabulary.vocabulary import Vocabulary

_SHOWN_RUNS = 8
_SHOWN_FIGURES = 12
_DIGITS = 12


@dataclass(frozen=True)
class _User:
    """A run that uses the model of another one."""

    run: Run
    refers: References


def lineage_of(
    run: Run, vocabularies: tuple[Vocabulary, ...], workspace: Workspace
) -> tuple[Stage, ...]:
    """Return the stages from the corpus over the run to the figures that rest on it.

    Raises:
        CorruptArtefactError: what the run itself refers to cannot be read.
    """
    refers = references_of(run)
    users = tuple(_users(run, workspace))
    grown = [user for user in users if user.run.header.kind == "pretrain"]
    tuned = [user for user in users if user.run.header.kind != "pretrain"]
    parents = tuple(Link(name, (f"step {step:,}",)) for name, step in sorted(refers.runs))
    stages = [
        Stage("Corpus", tuple(_corpora(refers, workspace)), "not known"),
        Stage("Vocabularies", tuple(_vocabulary(v, workspace) for v in vocabularies), "not known"),
        *([Stage("Grown from", parents)] if parents else []),
        Stage("Pretraining", (_this(run),), present=True),
        *([Stage("Grown into", _shown([_user(u.run) for u in grown]))] if grown else []),
        Stage("Used by", _shown([_tuned(user, run) for user in tuned]), "nothing so far"),
        Stage("Figures", _shown(list(_figures(tuned)), _SHOWN_FIGURES), "none so far"),
    ]
    return tuple(stages)


def _this(run: Run) -> Link:
    return Link(run.id, (f"identity {run.header.what_fingerprint[:_DIGITS]}",))


def _users(run: Run, workspace: Workspace) -> Iterator[_User]:
    for other in RunStore(workspace).list():
        if other.id == run.id or not _mentions(other, run.id):
            continue
        try:
            refers = references_of(other)
        except GfmpError:
            continue  # a damaged neighbour is told of by `gfmp runs verify`, not by this page
        if run.id in refers.run_ids:
            yield _User(other, refers)


def _mentions(other: Run, name: str) -> bool:
    """Return False when the files of a run do not even hold the name; reading them takes longer."""
    files = (other.plan_path, other.path / "inputs.json")
    return any(name.encode("ascii") in path.read_bytes() for path in files if path.is_file())


def _corpora(refers: References, workspace: Workspace) -> Iterator[Link]:
    for content in sorted(refers.corpora):
        found = find_corpus(content, workspace)
        if found is None:
            yield Link(content[:_DIGITS], ("not in this workspace any more",))
            continue
        manifest = Manifest.read(found)
        words = {"train": "to train on", "valid": "held out"}
        sizes = tuple(f"{t.bases:,} bases {words.get(t.split, t.split)}" for t in manifest.totals)
        files = f"{len(manifest.sources):,} files"
        yield Link(manifest.name, (f"content {content[:_DIGITS]}", files, *sizes))


def find_corpus(content: str, workspace: Workspace) -> Path | None:
    """Return the folder of the corpus with this content hash; None when it is not there."""
    for path in sorted(workspace.corpora.glob(f"[!.]*/[!.]*/{MANIFEST_NAME}")):
        try:
            if read_json(path).get("content_hash") == content:
                return path.parent
        except GfmpError:
            continue
    return None


def _vocabulary(vocabulary: Vocabulary, workspace: Workspace) -> Link:
    content = f"content {vocabulary.fingerprint[:_DIGITS]}"
    made = f"{len(vocabulary.words):,} words"
    try:
        recipe = VocabularyStore(workspace.vocabularies).recipe_json(vocabulary.name)
    except GfmpError:
        return Link(vocabulary.name, (content, made, "not registered here"))
    source = f", learned from {recipe['corpus']}" if recipe.get("corpus") else ""
    return Link(vocabulary.name, (content, f"{recipe['family']}: {made}{source}"))


def _user(run: Run) -> Link:
    return Link(run.id, (f"{run.header.kind}, {run.status()}",))


def _tuned(user: _User, run: Run) -> Link:
    kind = f"{user.run.header.kind}, {user.run.status()}"
    cells = len(user.refers.cells)
    tasks = len(user.refers.tasks)
    counted = (f"{cells:,} cells on {tasks:,} tasks",) if cells else ()
    return Link(user.run.id, (kind, *counted))


def _figures(users: list[_User]) -> Iterator[Link]:
    for user in users:
        folder = user.run.path / "report"
        if (folder / "report.html").is_file():
            figures = sorted(
                path.stem.replace("_", " ") for path in (folder / "figures").glob("*.svg")
            )
            shown = ", ".join(figures[:3]) + (f" and {len(figures) - 3} more" * (len(figures) > 3))
            yield Link(shown or "a page", (f"runs/{user.run.id}/report/report.html",))


def _shown(links: list[Link], most: int = _SHOWN_RUNS) -> tuple[Link, ...]:
    rest = len(links) - most
    return (*links[:most], *([Link(f"and {rest:,} more")] if rest > 0 else []))
