"""The checkpoint that `init_from` means; no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from gfmp.errors import CorruptArtefactError, MissingInputError, Problem, RefusedError
from gfmp.ledger.run import Run
from gfmp.plan.parent import Parent
from gfmp.plan.values import Init
from gfmp.spec.pretrain import PretrainSpec
from gfmp.storage.workspace import Workspace
from gfmp.training.manifest import WEIGHTS_FILE, Manifest, read_manifest
from gfmp.training.pretrained import find_run, pretrained

_FOREIGN_ENDINGS = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".safetensors")


def find_parent(spec: PretrainSpec, workspace: Workspace) -> Parent | None:
    """Return the newest checkpoint of the run a job begins with; None without `init_from`.

    A name means the newest finished run of that name, an id means that run in whatever state.

    Raises:
        MissingInputError: there is no such run, or it has no checkpoint.
        RefusedError: it is a file or a folder of another program.
        CorruptArtefactError: the checkpoint is damaged, or does not say what it is.
    """
    if not spec.init_from:
        return None
    if "/" in spec.init_from or spec.init_from.endswith(_FOREIGN_ENDINGS):
        raise RefusedError(
            f"init_from: {spec.init_from!r} is not opened",
            where=spec.init_from,
            why="training goes on from runs of gfmp only; files of other programs can be pickles, "
            "which run any code when they are opened",
            fix="name a run; a foreign model in safetensors can be fine-tuned: `initial: [folder/]`"
            " of a sweep",
        )
    try:
        return parent_of(find_run(spec.init_from, workspace))
    except MissingInputError as fault:
        first = fault.problems[0]
        fix = f"{first.fix}; the demo model comes from `gfmp submit jobs/pretrain.yaml`"
        raise MissingInputError.of([Problem(first.message, first.where, first.why, fix)]) from fault


def expected_parent(spec: PretrainSpec, workspace: Workspace) -> Parent | None:
    """Return what `find_parent` finds, or None when the job can be planned before it is there.

    Raises:
        MissingInputError: it is not there, and the job leaves its vocabularies or model to it.
        CorruptArtefactError: see `find_parent`.
    """
    try:
        return find_parent(spec, workspace)
    except MissingInputError:
        if spec.vocabularies and spec.model:
            return None
        raise


def parent_of(run: Run) -> Parent:
    """Return the newest checkpoint of a run, as `pretrained` finds it for fine-tuning.

    Raises:
        MissingInputError: it has none.
        CorruptArtefactError: it is damaged, or does not say what it is.
    """
    found = pretrained(run)
    manifest = read_manifest(found.path)
    updates = _number(manifest.what.get("init"), "updates")
    return Parent(
        run_id=found.run_id,
        path=found.path,
        step=found.step,
        init=Init(
            weights=manifest.files[WEIGHTS_FILE].sha256,
            ensemble=manifest.ensemble_fingerprint,
            updates=manifest.cursor.updates + updates,
        ),
        shares=_shares(manifest, found.path),
        architecture=found.architecture,
        ensemble=found.ensemble,
    )


def _number(value: object, name: str) -> int:
    found = value.get(name) if isinstance(value, Mapping) else None
    return found if isinstance(found, int) else 0


def _shares(manifest: Manifest, path: Path) -> tuple[float, ...]:
    if manifest.cursor.mixture:
        return manifest.cursor.mixture[-1].weights
    feed = manifest.what.get("feed")
    weights = feed.get("weights") if isinstance(feed, Mapping) else None
    try:
        return TypeAdapter(tuple[float, ...]).validate_python(weights)
    except ValidationError as fault:
        raise CorruptArtefactError(
            "the checkpoint does not say what share each vocabulary had",
            where=str(path),
            why=str(fault.errors()[0]["msg"]),
            fix="restore it from a backup, or train again",
        ) from fault
