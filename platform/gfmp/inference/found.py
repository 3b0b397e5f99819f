"""Which trained model a person means: a run by name, id or folder, or a model's own folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gfmp.errors import MissingInputError, UsageError
from gfmp.inference.motif_inputs import Described, find_model
from gfmp.inference.sequence_only import check_sequence_only
from gfmp.ledger.header import FILE_NAME
from gfmp.ledger.run import MODEL_FILE, Run
from gfmp.ledger.store import RunStore
from gfmp.plan.cells import Ingredient
from gfmp.spec.model import Architecture
from gfmp.storage.atomic import read_json
from gfmp.storage.workspace import Workspace
from gfmp.tasks.task import Target
from gfmp.training.manifest import MANIFEST_FILE
from gfmp.training.pretrained import Pretrained, checkpointed, pretrained
from gfmp.vocabulary.ensemble import Ensemble
from gfmp.vocabulary.vocabulary import Vocabulary

ModelKind = Literal["pretrained", "finetuned"]
_ENSEMBLE = "ensemble.json"
_RUNS = "runs"
_KINDS = ("finetune", "pretrain")
_SHOWN = 5
# Bytes that the bias of attention may take for the longest sequence, shape (heads, L, L) in fp32.
_BIAS_BYTES = 1 << 30


@dataclass(frozen=True)
class Found:
    """A trained model before its weights are read; no torch.

    Attributes:
        kind: Whether it has a head that predicts.
        model: Run id or folder name, and the hash of what decides its answers.
        folder: Of the model or the checkpoint.
        workspace: Where its task is.
        architecture: The encoder's shape.
        vocabularies: Those it reads: each alone, or for a fine-tuned model all at once.
        target: What it predicts; None for a pretrained model.
        task: What it was fine-tuned on; nameless for a pretrained model.
        features: Names of what it reads beside the sequence to predict.
        run: Whose model it is; None where only a folder was named.
    """

    kind: ModelKind
    model: Ingredient
    folder: Path
    workspace: Workspace
    architecture: Architecture
    vocabularies: tuple[Vocabulary, ...]
    target: Target | None = None
    task: Ingredient = field(default_factory=Ingredient)
    features: tuple[str, ...] = ()
    run: Run | None = None

    @property
    def shortest_bp(self) -> int:
        """Bases that every vocabulary of the model can encode."""
        return max(vocabulary.shortest_bp for vocabulary in self.vocabularies)

    @property
    def longest_bp(self) -> int:
        """Bases of a sequence that still fits in memory, were every base a token."""
        return int((_BIAS_BYTES / 4 / self.architecture.heads) ** 0.5)

    def predicts(self) -> Target:
        """Return what a fine-tuned model predicts from a sequence.

        Raises:
            UsageError: this one was only pretrained.
            RefusedError: it reads features beside the sequence.
        """
        if self.target is None:
            raise UsageError(
                f"{self.model.name} predicts nothing yet",
                where=str(self.folder),
                why="it is a pretrained model, and labels are learned by fine-tuning",
                fix="gfmp submit jobs/finetune.yaml, and name that run",
            )
        check_sequence_only(self.features, self.folder)
        return self.target

    @property
    def pretrained(self) -> Pretrained:
        """The checkpoint of a pretrained model.

        Raises:
            CorruptArtefactError: it is damaged.
        """
        return checkpointed(self.model.name, self.folder)


def find(wanted: str, workspace: Workspace | None = None, cell: str = "") -> Found:
    """Find a trained model.

    Args:
        wanted: Name of pretraining or fine-tuning runs (the newest finished one), the id of one or
            its beginning; with a / in it, the folder of a run, of a fine-tuned model or of a
            checkpoint.
        workspace: Where runs are; a folder in a workspace stays in that one. None takes
            `$GFMP_WORKSPACE`, or `./workspace`.
        cell: Beginning of the hash of one model, of a run that kept several.

    Raises:
        MissingInputError: there is none, or the run kept no model.
        UsageError: several runs are meant, or several models of one.
        CorruptArtefactError: its description is damaged.
    """
    if is_folder(wanted):
        return _in_folder(Path(wanted).expanduser().resolve(), workspace, cell)
    chosen = workspace or Workspace.at(None)
    return _of_run(RunStore(chosen).newest(wanted, *_KINDS), chosen, cell)


def is_folder(wanted: str) -> bool:
    """Return True for a model that is named by its place: it has a / in it, or is a dot or two.

    A folder beside a run of the same name does not come before it.
    """
    return "/" in wanted or wanted in (".", "..")


def holds_model(folder: Path) -> bool:
    """Return True when a folder is one that gfmp keeps: of a run, a model or a checkpoint."""
    return any((folder / name).is_file() for name in (FILE_NAME, MODEL_FILE, MANIFEST_FILE))


def _in_folder(path: Path, workspace: Workspace | None, cell: str) -> Found:
    above = [folder.parent for folder in (path, *path.parents) if folder.name == _RUNS]
    chosen = Workspace(above[0]) if above else workspace or Workspace.at(None)
    if (path / FILE_NAME).is_file():
        return _of_run(Run.open(path), chosen, cell)
    if (path / MODEL_FILE).is_file():
        return _finetuned(path, path.name, chosen)
    if (path / MANIFEST_FILE).is_file():
        return _pretrained(checkpointed(path.name, path), chosen)
    raise MissingInputError(
        "there is no model in this folder" if path.is_dir() else "there is no such folder",
        where=str(path),
        why=f"a run has {FILE_NAME}, a fine-tuned model {MODEL_FILE}, a checkpoint {MANIFEST_FILE}",
        fix="gfmp runs list shows the runs of a workspace; a run is named without /",
    )


def _of_run(run: Run, workspace: Workspace, cell: str) -> Found:
    if run.header.kind == "pretrain":
        return _pretrained(pretrained(run), workspace, run)
    return _finetuned(_kept(run, cell), run.id, workspace, run)


def _kept(run: Run, cell: str) -> Path:
    """Return the folder of the one model of a run whose name begins like the hash `cell`."""
    if not run.models:
        raise MissingInputError(
            f"run {run.id} kept no model",
            where=str(run.path),
            why=f"it is a {run.header.kind} run; pretrain and finetune runs keep theirs",
            fix="gfmp submit a job of kind finetune, and name that",
        )
    meant = [path for path in run.models if path.name.startswith(cell[: len(path.name)])]
    if len(meant) == 1:
        return meant[0]
    names = [path.name for path in meant or run.models]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    raise UsageError(
        f"run {run.id} kept {len(run.models)} models, {len(meant)} of them begin with {cell!r}",
        where=str(run.models[0].parent),
        why=f"one model is asked at a time: {', '.join(names[:_SHOWN])}{more}",
        fix="name the folder of one of these; gfmp export also takes --cell with its beginning",
    )


def _pretrained(found: Pretrained, workspace: Workspace, run: Run | None = None) -> Found:
    return Found(
        kind="pretrained",
        model=Ingredient(found.run_id, found.fingerprint),
        folder=found.path,
        workspace=workspace,
        architecture=found.architecture,
        vocabularies=found.ensemble.vocabularies,
        run=run,
    )


def _finetuned(folder: Path, name: str, workspace: Workspace, run: Run | None = None) -> Found:
    described: Described = find_model(f"{folder}/", folder, workspace)
    path = folder / _ENSEMBLE
    known = {v.name: v for v in Ensemble.from_json(read_json(path), str(path)).vocabularies}
    return Found(
        kind="finetuned",
        model=Ingredient(name, described.model.fingerprint),
        folder=folder,
        workspace=workspace,
        architecture=Architecture.model_validate(read_json(folder / MODEL_FILE)["architecture"]),
        vocabularies=tuple(known[name] for name in described.cell.vocabularies),
        target=described.target,
        task=described.cell.task,
        features=described.features,
        run=run,
    )
