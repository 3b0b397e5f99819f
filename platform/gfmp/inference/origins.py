"""What a person means by a trained model: a run's name or id, or a folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gfmp.errors import GfmpError, MissingInputError, UsageError
from gfmp.inference.exportable import Exportable, load_foreign, of_finetuned, of_masked
from gfmp.inference.masked import Masked
from gfmp.inference.model_card import Lineage, Row
from gfmp.learners.compute import Compute
from gfmp.learners.finetuned import load as load_finetuned
from gfmp.ledger.cells import CellStore
from gfmp.ledger.run import Run
from gfmp.ledger.status import Status
from gfmp.ledger.store import RunStore
from gfmp.plan.cells import Cell
from gfmp.plan.lineage import parent_run
from gfmp.storage.atomic import read_json
from gfmp.storage.hashes import sha256_file
from gfmp.storage.workspace import Workspace
from gfmp.training.pretrained import Pretrained, pretrained

MODEL_FILE = "model.json"
_SHOWN, _HASH_CHARACTERS = 5, 16
# A run that was grown from a run that was grown: so many are told, more would be a loop.
_MOST_PARENTS = 20


@dataclass(frozen=True)
class Asked:
    """What a person wrote.

    Attributes:
        wanted: Name of a run (its newest finished one), an id, or a folder with a `/` in it.
        cell: Beginning of the fingerprint of one model of a run that kept several.
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
        DataError: a folder is of no layout that is read.
    """
    folder = Path(asked.wanted)
    if "/" in asked.wanted or asked.wanted in (".", ".."):
        return _of_folder(folder, asked, compute)
    run = _run(asked.wanted, workspace)
    if run.header.kind == "pretrain":
        found = pretrained(run)
        lineage = _lineage(run.id, _pretraining(run, found, workspace), run)
        return Trained(of_masked(Masked.load(found, compute)), lineage, run.header.name)
    made = load_finetuned(_model_folder(run, asked.cell), compute)
    name = f"{run.id}-{made.cell.fingerprint[:12]}" if asked.cell else run.id
    lineage = _lineage(run.id, _finetuning(run, made.cell, workspace), run)
    scores = _scores(made.cell, workspace)
    lineage = Lineage(lineage.origin, lineage.steps, scores, lineage.commands)
    return Trained(of_finetuned(made, name), lineage, run.header.name)


def _of_folder(folder: Path, asked: Asked, compute: Compute) -> Trained:
    if not folder.is_dir():
        raise MissingInputError(
            "there is no such folder",
            where=str(folder),
            why="a name with / in it is a folder with config.json, weights and a tokenizer",
            fix="gfmp runs list shows the runs; a run is named without /",
        )
    name = folder.resolve().name
    if (folder / MODEL_FILE).is_file():
        made = load_finetuned(folder, compute)
        steps = (("Fine-tuning", tuple(_cell_facts(made.cell))),)
        return Trained(of_finetuned(made, name), Lineage(name, steps), name)
    model = load_foreign(folder, compute, asked.vocabulary)
    weights = [path for path in sorted(folder.iterdir()) if path.suffix in (".safetensors", ".bin")]
    facts = tuple((f"sha256 of {path.name}", sha256_file(path)) for path in weights)
    return Trained(of_masked(model), Lineage(name, (("Weights", facts),)), name)


def _run(wanted: str, workspace: Workspace) -> Run:
    store = RunStore(workspace)
    named = [r for r in store.list() if r.header.name == wanted and _has_models(r)]
    finished = [run for run in named if run.status() is Status.FINISHED]
    return finished[-1] if finished else store.get(wanted)


def _has_models(run: Run) -> bool:
    return run.header.kind == "pretrain" or bool(_kept(run))


def _kept(run: Run) -> list[Path]:
    return sorted(path.parent for path in (run.path / "models").glob(f"*/{MODEL_FILE}"))


def _model_folder(run: Run, cell: str) -> Path:
    kept = _kept(run)
    if not kept:
        raise MissingInputError(
            f"run {run.id} kept no model",
            where=str(run.path),
            why=f"it is a {run.header.kind} run; jobs of kind pretrain and finetune keep theirs",
            fix="gfmp submit a job of kind finetune, and name that",
        )
    meant = [path for path in kept if path.name.startswith(cell[: len(path.name)])]
    if len(meant) == 1:
        return meant[0]
    names = [path.name for path in meant or kept]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    raise UsageError(
        f"run {run.id} kept {len(kept)} models, {len(meant)} of them begin with {cell!r}",
        where=str(run.path / "models"),
        why=f"one model is exported at a time: {', '.join(names[:_SHOWN])}{more}",
        fix="give --cell with the beginning of one of these",
    )


def _lineage(origin: str, steps: tuple[tuple[str, tuple[Row, ...]], ...], run: Run) -> Lineage:
    return Lineage(origin, steps, commands=(run.repeat_command,))


def _pretraining(
    run: Run, found: Pretrained, workspace: Workspace
) -> tuple[tuple[str, tuple[Row, ...]], ...]:
    own = ("Pretraining", (*_run_facts(run), ("steps", f"{found.step:,}"), *_pretrain_facts(run)))
    return (*_parents(run, workspace), own)


def _parents(run: Run, workspace: Workspace) -> tuple[tuple[str, tuple[Row, ...]], ...]:
    """Return the pretraining runs a run was grown from, oldest first."""
    found: list[tuple[str, tuple[Row, ...]]] = []
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


def _finetuning(
    run: Run, cell: Cell, workspace: Workspace
) -> tuple[tuple[str, tuple[Row, ...]], ...]:
    own = ("Fine-tuning", (*_run_facts(run), *_cell_facts(cell)))
    try:
        start = _run(cell.initial.name, workspace)
        same = pretrained(start).fingerprint == cell.initial.fingerprint
    except GfmpError:
        return (own,)  # a folder, `scratch`, or a run that was removed; the cell names it
    if not same:
        return (own,)  # the run of that name is a newer one
    before = ("Pretraining", (*_run_facts(start), *_pretrain_facts(start)))
    return (*_parents(start, workspace), before, own)


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
