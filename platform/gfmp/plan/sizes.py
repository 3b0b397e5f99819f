"""Every number of a job, computed once; what is wrong with them is `checks`' business."""

from __future__ import annotations

from dataclasses import dataclass

from gfmp.plan.batching import SPECIAL_TOKENS, Batch, RowLaw, batch, row_law, shares
from gfmp.plan.engine import choose_engine
from gfmp.plan.facts import Known, VocabularyFacts
from gfmp.plan.flops import training_flops
from gfmp.plan.masking import target_fraction
from gfmp.plan.memory import activation_bytes
from gfmp.plan.parameters import count_parameters
from gfmp.plan.values import Engine
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

    def targets(self, facts: VocabularyFacts, row: RowLaw) -> float:
        """Return the expected targets of a row; special tokens are never one."""
        return (row.mean_tokens - SPECIAL_TOKENS) * target_fraction(self.spec.masking, facts)

    @property
    def step_flops(self) -> int:
        """Operations of one step, forward and backward, over all ranks."""
        total = 0
        for facts, row in zip(self.facts, self.rows, strict=True):
            sequences = self.batch.num_sequences * row.share
            total += training_flops(
                self.known.architecture,
                round(sequences * row.mean_tokens),
                round(sequences * row.mean_squared_tokens),
                round(sequences * self.targets(facts, row)),
                self.head_rows(facts),
            )
        return total

    @property
    def activations(self) -> int:
        """Estimated bytes one micro-batch keeps for its backward pass."""
        pairs = list(zip(self.facts, self.rows, strict=True))
        targets = sum(row.share * self.targets(facts, row) for facts, row in pairs)
        tokens = self.batch.micro_batch_tokens
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
    weights = shares(tuple(use.weight for use in spec.vocabularies))
    rows = tuple(
        row_law(fact, share, spec.sampling.max_tokens)
        for fact, share in zip(facts, weights, strict=True)
    )
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
        batch=batch(spec.sampling, rows, compute.workers, compute.micro_batch_tokens),
        parameters=parameters,
        use_gpu=use_gpu,
        threads=compute.threads_per_worker or max(1, machine.cpu_cores // compute.workers),
        rank_bytes=rank_bytes,
        engine=engine,
        engine_reason=reason,
    )
