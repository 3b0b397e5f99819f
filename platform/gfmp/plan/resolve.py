"""From what a person asks to what exactly will happen."""

from __future__ import annotations

from gfmp.errors import SpecError
from gfmp.plan.checks import Locate, dotted, problems
from gfmp.plan.explain import explain
from gfmp.plan.facts import Known
from gfmp.plan.sizes import Sizes, measure
from gfmp.plan.values import FeedSettings, Plan, ToBuild, What, Where
from gfmp.spec.pretrain import PretrainSpec


def resolve(spec: PretrainSpec, known: Known, locate: Locate = dotted) -> Plan:
    """Decide every number of a job.

    The same spec and facts always give an equal plan. Nothing in `compute` and nothing about
    the machine reaches `Plan.what`.

    Args:
        spec: What a person asks.
        known: What the world offers; vocabularies in any order.
        locate: Key path of the spec to the place of a problem; pass `Document.where` for
            file:line:col.

    Raises:
        SpecError: the job is impossible; carries every reason at once.
    """
    sizes = measure(spec, known)
    found = problems(sizes, locate)
    if found:
        raise SpecError.of(found)
    return Plan(
        name=spec.name,
        what=_what(sizes),
        where=_where(sizes),
        derived=explain(sizes),
        to_build=_to_build(sizes),
    )


def _what(sizes: Sizes) -> What:
    spec, known = sizes.spec, sizes.known
    return What(
        corpus=known.corpus.content_hash,
        ensemble=known.ensemble_fingerprint,
        vocabulary_rows=sizes.vocabulary_rows,
        architecture=known.architecture,
        feed=FeedSettings(
            seed=spec.seed,
            weights=tuple(row.share for row in sizes.rows),
            global_batch_sequences=sizes.batch.num_sequences,
            max_tokens=spec.sampling.max_tokens,
            reverse_complement_fraction=spec.sampling.reverse_complement_fraction,
            buffer_row_groups=spec.sampling.buffer_row_groups,
            masking=spec.masking,
        ),
        steps=spec.steps,
        optimiser=spec.optimiser,
        precision=spec.precision,
        evaluation=spec.evaluation,
    )


def _where(sizes: Sizes) -> Where:
    return Where(
        workers=sizes.batch.workers,
        use_gpu=sizes.use_gpu,
        engine=sizes.engine,
        accumulation=sizes.batch.accumulation,
        threads_per_worker=sizes.threads,
        max_failures=sizes.spec.compute.max_failures,
        checkpoint=sizes.spec.checkpoint,
    )


def _to_build(sizes: Sizes) -> tuple[ToBuild, ...]:
    corpus = sizes.known.corpus
    missing = [] if corpus.built else [ToBuild("corpus", corpus.name, corpus.how)]
    missing += [
        ToBuild("vocabulary", facts.name, facts.how) for facts in sizes.facts if not facts.built
    ]
    return tuple(missing)
