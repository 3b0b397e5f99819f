"""Computing a dumped step again, in one process, to tell data and weights from the machine."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from gfmp.feed.batch import TokenBatch
from gfmp.model.masked import build
from gfmp.training.batches import SoftmaxRows, to_tensors
from gfmp.training.dump import Dump, read_dump
from gfmp.training.engine import Engine, build_engine
from gfmp.training.hardware import flushed_denormals
from gfmp.training.health import Incident
from gfmp.training.manifest import WEIGHTS_FILE
from gfmp.training.processes import Group
from gfmp.training.restore import read_tensors

# One process sums in another order than several do.
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class BadRow:
    """A sequence whose loss is not finite when it is computed alone."""

    rank: int
    sample: int
    vocabulary: str
    nats: float


@dataclass(frozen=True)
class Replayed:
    """A dumped step beside its repetition.

    Attributes:
        incident: What the run saw.
        nats: Sum of nats per rank and vocabulary, computed again.
        gradient_norm: The norm, computed again.
        bad_rows: The sequences to blame for a loss.
    """

    incident: Incident
    nats: tuple[tuple[float, ...], ...]
    gradient_norm: float
    bad_rows: tuple[BadRow, ...]

    @property
    def reproduced(self) -> bool:
        """True when the same weights and batches give the same numbers again."""
        pairs = [(self.incident.gradient_norm, self.gradient_norm)]
        for share, again in zip(self.incident.shares, self.nats, strict=True):
            pairs += zip(share.nats, again, strict=True)
        return all(_alike(before, after) for before, after in pairs)


def _alike(before: float, after: float) -> bool:
    if not math.isfinite(before) or not math.isfinite(after):
        # Engines differ in whether they call a lost norm NaN or infinite.
        return math.isfinite(before) == math.isfinite(after)
    return math.isclose(before, after, rel_tol=_TOLERANCE)


def replay(path: Path) -> Replayed:
    """Compute the step of a dump again; changes nothing.

    Raises:
        MissingInputError: there is no dump.
        CorruptArtefactError: a file of it is missing or changed.
    """
    dump = read_dump(path)
    torch.set_num_threads(dump.plan.where.threads_per_worker)
    with flushed_denormals():
        bench = _Bench(dump)
        nats = tuple(bench.nats(own) for own in dump.batches)
        norm = bench.engine.step(0.0, -math.inf)
        return Replayed(dump.incident, nats, norm, tuple(bench.bad_rows(nats)))


class _Bench:
    """The model of a dump on the CPU."""

    def __init__(self, dump: Dump) -> None:
        what, size = dump.plan.what, dump.ensemble.size
        self._dump = dump
        self._softmax = SoftmaxRows.of(dump.ensemble, what.feed.masking)
        model = build(
            what.architecture, size, self._softmax.tensors(), what.precision, what.feed.seed
        )
        weights = read_tensors(dump.path / WEIGHTS_FILE)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(weights[name])
        alone = replace(dump.plan, where=replace(dump.plan.where, engine="ddp", workers=1))
        self._device = torch.device("cpu")
        self.engine: Engine = build_engine(alone, model, Group(0, 1, self._device))

    def nats(self, batches: Sequence[TokenBatch]) -> tuple[float, ...]:
        """Add the gradients of batches up and return their nats per vocabulary."""
        scale = 1.0 / max(self._dump.num_targets, 1)
        sums = torch.zeros(len(self._softmax.rows), 2, dtype=torch.float64)
        for batch in batches:
            sums += self.engine.backward(to_tensors(batch, self._softmax, self._device), scale)
        return tuple(sums[:, 0].tolist())

    def bad_rows(self, nats: Sequence[tuple[float, ...]]) -> Iterator[BadRow]:
        """Yield the sequences of bad ranks whose own loss is not finite."""
        names = [vocabulary.name for vocabulary in self._dump.ensemble.vocabularies]
        bad = [r for r, own in enumerate(nats) if not all(map(math.isfinite, own))]
        for rank, batch in ((r, batch) for r in bad for batch in self._dump.batches[r]):
            for row in range(len(batch.samples)):
                value = math.fsum(self.nats([alone(batch, row)]))
                if not math.isfinite(value):
                    name = names[batch.vocabulary[row]]
                    yield BadRow(rank, int(batch.samples[row]), name, value)


def alone(batch: TokenBatch, row: int) -> TokenBatch:
    """Return one sequence of a batch as a batch of its own."""
    start, end = (int(place) for place in batch.cu_seqlens[row : row + 2])
    inside = (batch.positions >= start) & (batch.positions < end)
    return replace(
        batch,
        ids=batch.ids[start:end],
        cu_seqlens=np.array([0, end - start], dtype=np.int32),
        vocabulary=batch.vocabulary[row : row + 1],
        positions=batch.positions[inside] - np.int32(start),
        labels=batch.labels[inside],
        samples=batch.samples[row : row + 1],
        digests=batch.digests[row : row + 1],
    )
