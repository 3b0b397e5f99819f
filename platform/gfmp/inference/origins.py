"""A trained model that is to be exported, with where it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gfmp.errors import GfmpError
from gfmp.inference.exportable import Exportable, load_foreign, of_finetuned, of_masked
from gfmp.inference.found import Found, find, holds_model, is_folder
from gfmp.inference.loaded import Loaded
from gfmp.inference.model_card import Lineage, Row, Step
from gfmp.learners.compute import Compute
from gfmp.ledger.cells import CellStore
from gfmp.ledger.run import Run
from gfmp.ledger.store import RunStore
from gfmp.plan.cells import Cell
from gfmp.plan.lineage import parent_run
from gfmp.storage.atomic import read_json
from gfmp.storage.hashes import sha256_file
from gfmp.storage.workspace import Workspace
from gfmp.training.pretrained import find_run, pretrained

_HASH_CHARACTERS = 16
# A run that was grown from a run that was grown: so many are told, more would be a loop.
_MOST_PARENTS = 20


@dataclass(frozen=True)
class Asked:
    """What a person wrote.

    Attributes:
        wanted: A run or a folder as `found.find` takes them, or a folder in the layout of
            DNABERT-2 and Genomics-FM.
        cell: Beginning of the hash of one model, of a run that kept several.
        vocabulary: Name of the vocabulary of a foreign folder; empty for the folder's own.
    """

    wanted: str
    cell: str = ""
    vocabulary: str = ""


@dataclass(frozen=True)
class Trained:
    """A trained model that was found.

    Attributes:
        model: What can be exported.
        lineage: Where it comes from.
        name: The job it came from: the name of its run, or of its folder.
    """

    model: Exportable
    lineage: Lineage
    name: str


def find_trained(asked: Asked, workspace: Workspace, compute: Compute) -> Trained:
    """Return the model a person means.

    Raises:
        MissingInputError: there is none, or the run kept none.
        UsageError: several are meant.
        CorruptArtefactError: it is damaged.
        RefusedError: it reads features beside the sequence.
        DataError: a folder is of no layout that is read.
    """
    folder = Path(asked.wanted).expanduser()
    if is_folder(asked.wanted) and folder.is_dir() and not holds_model(folder):
        return _foreign(folder, asked.vocabulary, compute)
    found = find(asked.wanted, workspace, asked.cell)
    loaded = Loaded.of(found, compute)
    title = found.run.header.name if found.run else found.model.name
    if loaded.masked is not None:
        return Trained(of_masked(loaded.masked), _pretraining(found), title)
    made, name = loaded.head(), found.model.name
    name = f"{name}-{made.cell.fingerprint[:12]}" if asked.cell else name
    return Trained(of_finetuned(made, name), _finetuning(found, made.cell), title)


def _foreign(folder: Path, vocabulary: str, compute: Compute) -> Trained:
    name = folder.resolve().name
    model = load_foreign(folder, compute, vocabulary)
    weights = [path for path in sorted(folder.iterdir()) if path.suffix in (".safetensors", ".bin")]
    facts = tuple((f"sha256 of {path.name}", sha256_file(path)) for path in weights)
    return Trained(of_masked(model), Lineage(name, (("Weights", facts),)), name)


def _pretraining(found: Found) -> Lineage:
    steps: Row = ("steps", f"{found.pretrained.step:,}")
    if found.run is None:
        return Lineage(found.model.name, (("Pretraining", (steps,)),))
    facts = (*_run_facts(found.run), steps, *_pretrain_facts(found.run))
    before = _parents(found.run, found.workspace)
    commands = (found.run.repeat_command,)
    return Lineage(found.model.name, (*before, ("Pretraining", facts)), commands=commands)


def _parents(run: Run, workspace: Workspace) -> tuple[Step, ...]:
    """Return the pretraining runs a run was grown from, oldest first."""
    found: list[Step] = []
    wanted = parent_run(run.plan_json())
    while wanted and len(found) < _MOST_PARENTS:
        try:
            run = RunStore(workspace).get(wanted)
        except GfmpError:
            # It was removed since; its id is all that is left of it.
            found.insert(0, ("Grown from", (("run", wanted),)))
            break
        facts = (*_run_facts(run), *_pretrain_facts(run))
        found.insert(0, ("Grown from", facts))
        wanted = parent_run(run.plan_json())
    return tuple(found)


def _run_facts(run: Run) -> Iterator[Row]:
    git = run.header.provenance.git
    yield "run", f"`{run.id}`"
    yield "created", run.header.created
    yield "plan", f"`{run.header.what_fingerprint[:_HASH_CHARACTERS]}`"
    yield "seed", str(run.header.seed)
    yield "source revision", f"`{git.revision[:_HASH_CHARACTERS]}` ({git.state})"
    yield "libraries", _versions(run.header.provenance.libraries)


def _versions(libraries: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {libraries[name]}" for name in ("gfmp", "torch") if name in libraries)


def _pretrain_facts(run: Run) -> Iterator[Row]:
    what = run.plan_json().get("what")
    corpus = what.get("corpus") if isinstance(what, dict) else None
    if isinstance(corpus, str):
        yield "corpus", f"{_corpus_name(run)}`{corpus[:_HASH_CHARACTERS]}`"
    report = run.report() or {}
    for name in sorted(report):
        if name.startswith("report/") and name.endswith("/bits_per_base"):
            before = report.get(name.replace("/bits_per_base", "/order5_bits"))
            than = (
                f" (a Markov chain of order 5: {before:.4f})" if isinstance(before, float) else ""
            )
            vocabulary = name.split("/")[1]
            yield f"held-out bits per base, {vocabulary}", f"{report[name]:.4f}{than}"


def _corpus_name(run: Run) -> str:
    inputs = run.path / "inputs.json"
    path = read_json(inputs).get("corpus_path") if inputs.is_file() else None
    return f"{Path(path).parent.name} " if isinstance(path, str) else ""


def _finetuning(found: Found, cell: Cell) -> Lineage:
    if found.run is None:
        return Lineage(found.model.name, (("Fine-tuning", tuple(_cell_facts(cell))),))
    own = ("Fine-tuning", (*_run_facts(found.run), *_cell_facts(cell)))
    steps = (*_begun_with(cell, found.workspace), own)
    scores = _scores(cell, found.workspace)
    return Lineage(found.model.name, steps, scores, (found.run.repeat_command,))


def _begun_with(cell: Cell, workspace: Workspace) -> tuple[Step, ...]:
    """Return the pretraining that a cell began with; nothing where it is not a run of here."""
    try:
        start = find_run(cell.initial.name, workspace)
        same = pretrained(start).fingerprint == cell.initial.fingerprint
    except GfmpError:
        return ()  # a folder, `scratch`, or a run that was removed; the cell names it
    if not same:
        return ()  # the run of that name is a newer one
    facts = (*_run_facts(start), *_pretrain_facts(start))
    return (*_parents(start, workspace), ("Pretraining", facts))


def _cell_facts(cell: Cell) -> Iterator[Row]:
    yield "task", f"{cell.task.name} `{cell.task.fingerprint[:_HASH_CHARACTERS]}`"
    yield "initial model", f"{cell.initial.name} `{cell.initial.fingerprint[:_HASH_CHARACTERS]}`"
    yield "vocabulary", cell.words
    yield "method", cell.method
    yield "labels", f"{cell.num_rows:,} rows, {cell.label_percent:g} % of the training rows"
    yield "seed of the labels", str(cell.seed)
    yield "cell", f"`{cell.fingerprint[:_HASH_CHARACTERS]}`"


def _scores(cell: Cell, workspace: Workspace) -> Mapping[str, float]:
    store = CellStore(workspace)
    return store.get(cell.fingerprint).metrics if store.finished(cell.fingerprint) else {}
