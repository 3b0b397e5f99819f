"""Every number of a job, computed once; what is wrong with them is `checks`' business."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from gfmp.plan.batching import SPECIAL_TOKENS, Batch, RowLaw, batch, row_law
from gfmp.plan.calibration import Calibration, Setting
from gfmp.plan.engine import choose_engine
from gfmp.plan.facts import Known, VocabularyFacts
from gfmp.plan.flops import training_flops
from gfmp.plan.memory import activation_bytes
from gfmp.plan.mixture import least_share, longest_mean_tokens, row_shares
from gfmp.plan.parameters import count_parameters
from gfmp.plan.spans import SpanStage, span_law, span_stages
from gfmp.plan.values import Engine, FeedMaker
from gfmp.spec.pretrain import PretrainSpec
from gfmp.vocabulary.vocabulary import FIRST_WORD


@dataclass(frozen=True)
class Sizes:
    """The numbers a plan consists of.

    Attributes:
        spec: What was asked.
        known: What the world offers.
        facts: Facts of the vocabularies, in ensemble order.
        rows: Their average rows, in the same order.
        stages: The stages of their masked spans, in the same order; one where the span stays.
        batch: One optimiser step.
        parameters: Parameters of the model with the most rows the union can have.
        use_gpu: One GPU per rank.
        threads: CPU threads of a rank.
        rank_bytes: Memory of a rank: its GPU, or its share of main memory; 0 when not known.
        engine: What trains.
        engine_reason: Why.
    """

    spec: PretrainSpec
    known: Known
    facts: tuple[VocabularyFacts, ...]
    rows: tuple[RowLaw, ...]
    stages: tuple[tuple[SpanStage, ...], ...]
    batch: Batch
    parameters: int
    use_gpu: bool
    threads: int
    rank_bytes: int
    engine: Engine
    engine_reason: str

    @property
    def vocabulary_rows(self) -> int:
        """Rows of the embedding table; the upper bound while the union is not measured."""
        return self.known.ensemble_rows[1]

    @property
    def total_tokens(self) -> int:
        """Expected tokens of the whole run."""
        return self.spec.steps * self.batch.num_tokens

    @property
    def samples_per_epoch(self) -> int:
        """Windows that hold as many bases as the training split; 0 while that is unknown."""
        return int(self.known.corpus.train_bases / self.batch.mean_bp)

    def head_rows(self, facts: VocabularyFacts) -> int:
        """Return the columns of the head's output for a row of this vocabulary: words only."""
        if self.spec.masking.scope == "own":
            return facts.rows_high - FIRST_WORD
        return self.vocabulary_rows

    def targets(self, index: int) -> float:
        """Return the expected targets of a row of a vocabulary, the mean over the run."""
        stages, masking = self.stages[index], self.spec.masking
        masked = math.fsum(stage.steps * stage.masked_fraction(masking) for stage in stages)
        return self._maskable(index) * masked / math.fsum(stage.steps for stage in stages)

    def most_targets(self, index: int) -> float:
        """Return the same in the stage that masks most."""
        masking = self.spec.masking
        most = max(stage.masked_fraction(masking) for stage in self.stages[index])
        return self._maskable(index) * most

    def _maskable(self, index: int) -> float:
        return self.rows[index].mean_tokens - SPECIAL_TOKENS  # special tokens are no targets

    @property
    def feed_maker(self) -> FeedMaker:
        """Who makes the batches of a rank."""
        asked = self.spec.compute.feed
        if asked == "auto":
            return "tasks" if self.use_gpu else "worker"
        return asked

    @property
    def calibration(self) -> Calibration | None:
        """What a step of exactly this job was measured to cost here; None when it was not."""
        wanted = Setting(
            use_gpu=self.use_gpu,
            workers=self.batch.workers,
            threads=self.threads,
            engine=self.engine,
            precision=self.spec.precision,
            architecture=self.known.architecture,
            vocabulary_rows=self.vocabulary_rows,
            micro_batch_tokens=self.batch.micro_batch_tokens,
        )
        found = (one for one in self.known.calibrations if one.setting == wanted)
        return next(found, None)

    @property
    def step_flops(self) -> int:
        """Operations of one step, forward and backward, over all ranks."""
        total = 0
        for index, (facts, row) in enumerate(zip(self.facts, self.rows, strict=True)):
            sequences = self.batch.num_sequences * row.share
            total += training_flops(
                self.known.architecture,
                round(sequences * row.mean_tokens),
                round(sequences * row.mean_squared_tokens),
                round(sequences * self.targets(index)),
                self.head_rows(facts),
            )
        return total

    @property
    def activations(self) -> int:
        """Estimated bytes one micro-batch keeps for its backward pass."""
        targets = sum(row.share * self.most_targets(i) for i, row in enumerate(self.rows))
        tokens = self.batch.most_micro_batch_tokens
        return activation_bytes(
            self.known.architecture,
            tokens,
            round(tokens * targets / self.batch.mean_tokens),
            max(self.head_rows(facts) for facts in self.facts),
            self.spec.precision,
        )


def measure(spec: PretrainSpec, known: Known) -> Sizes:
    """Compute the numbers of a job, possible or not."""
    compute, machine = spec.compute, known.machine
    facts = tuple(known.facts_of(use.name) for use in spec.vocabularies)
    rows = _rows(spec, facts)
    parameters = count_parameters(known.architecture, known.ensemble_rows[1])
    use_gpu = compute.device == "gpu" or (
        compute.device == "auto" and machine.gpus >= compute.workers
    )
    rank_bytes = machine.rank_bytes(compute.workers, use_gpu)
    engine, reason = choose_engine(
        compute.zero_stage, parameters, compute.workers, spec.precision, rank_bytes
    )
    return Sizes(
        spec=spec,
        known=known,
        facts=facts,
        rows=rows,
        stages=tuple(
            span_stages(span_law(use, fact, spec.steps), fact, spec.steps)
            for use, fact in zip(spec.vocabularies, facts, strict=True)
        ),
        batch=batch(
            spec.sampling,
            rows,
            compute.workers,
            compute.micro_batch_tokens,
            _most_mean_tokens(spec, rows),
        ),
        parameters=parameters,
        use_gpu=use_gpu,
        threads=compute.threads_per_worker or max(1, machine.cpu_cores // compute.workers),
        rank_bytes=rank_bytes,
        engine=engine,
        engine_reason=reason,
    )


def _rows(spec: PretrainSpec, facts: tuple[VocabularyFacts, ...]) -> tuple[RowLaw, ...]:
    alone = [row_law(fact, 1.0, spec.sampling.max_tokens) for fact in facts]
    shares = row_shares(spec, [row.read_bp for row in alone])
    return tuple(replace(row, share=share) for row, share in zip(alone, shares, strict=True))


def _most_mean_tokens(spec: PretrainSpec, rows: tuple[RowLaw, ...]) -> float:
    if spec.mixture != "adaptive":
        return 0.0
    return longest_mean_tokens(rows, least_share(spec.adaptation, len(rows)))
