"""What a training job is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from gfmp.feed.batch import TokenBatch
from gfmp.feed.dealing import Dealing
from gfmp.feed.heldout import HeldOut
from gfmp.genome.corpus import Corpus
from gfmp.plan.values import Plan
from gfmp.vocabulary.ensemble import Ensemble

StepSource = Callable[[Dealing], Generator[tuple[TokenBatch, ...], None, None]]
Recorder = Callable[[str, Mapping[str, object]], object]
Status = Literal["finished", "interrupted"]


@dataclass(frozen=True)
class Job:
    """Everything one rank needs to take part in a run.

    Attributes:
        plan: What to train and where.
        ensemble: The vocabularies of the plan.
        source: This rank's micro-batches of each step of a dealing.
        heldout: The held-out windows.
        corpus: Its train split is what the baselines of the final report are fitted on.
        checkpoints: Folder of the run's checkpoints; created when missing.
        record: Takes (kind, JSON-able fields) of events; called on rank 0 only.
        should_stop: Looked at on rank 0 before each step.
        committed_step: The step of the newest checkpoint that must be there, by the ledger.
    """

    plan: Plan
    ensemble: Ensemble
    source: StepSource
    heldout: HeldOut
    corpus: Corpus
    checkpoints: Path
    record: Recorder
    should_stop: Callable[[], bool]
    committed_step: int = 0

    @property
    def dumps(self) -> Path:
        """Folder of what steps with unsound numbers were computed from, beside the checkpoints."""
        return self.checkpoints.parent / "dumps"


@dataclass(frozen=True)
class Outcome:
    """How a call of `train` ended.

    Attributes:
        status: `interrupted` means: asked to stop, state committed, resumable.
        step: Optimiser updates done.
        order_hash: sha256 chain over all global batches seen since step 0.
        weights_hash: sha256 over the weights; equal for equal runs.
    """

    status: Status
    step: int
    order_hash: str
    weights_hash: str

    def to_json(self) -> dict[str, object]:
        """Return the fields as JSON values."""
        return asdict(self)
