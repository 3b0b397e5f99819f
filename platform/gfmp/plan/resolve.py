"""From what a person asks to what exactly will happen."""

from __future__ import annotations

from gfmp.errors import SpecError
from gfmp.plan.checks import Locate, dotted, problems
from gfmp.plan.explain import explain
from gfmp.plan.facts import Known
from gfmp.plan.growth import completed, growth_problems
from gfmp.plan.sizes import Sizes, measure
from gfmp.plan.spans import recorded_laws
from gfmp.plan.values import FeedSettings, Init, Plan, ToBuild, What, Where
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
    if refused := growth_problems(spec, known, locate):
        raise SpecError.of(refused)
    sizes = measure(completed(spec, known.parent), known)
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
            spans=recorded_laws(spec.vocabularies, sizes.facts, spec.steps),
            adaptation=spec.adaptation if spec.mixture == "adaptive" else None,
        ),
        steps=spec.steps,
        optimiser=spec.optimiser,
        precision=spec.precision,
        evaluation=spec.evaluation,
        init=_init(sizes),
    )


def _init(sizes: Sizes) -> Init | None:
    if not sizes.spec.init_from:
        return None
    parent = sizes.known.parent
    return parent.init if parent else Init(weights="", ensemble="", updates=0)


def _where(sizes: Sizes) -> Where:
    return Where(
        workers=sizes.batch.workers,
        use_gpu=sizes.use_gpu,
        engine=sizes.engine,
        accumulation=sizes.batch.accumulation,
        threads_per_worker=sizes.threads,
        max_failures=sizes.spec.compute.max_failures,
        checkpoint=sizes.spec.checkpoint,
        stall_seconds=sizes.spec.compute.stall_seconds,
        numbers=sizes.spec.numbers,
        feed=sizes.feed_maker,
    )


def _to_build(sizes: Sizes) -> tuple[ToBuild, ...]:
    corpus, wanted = sizes.known.corpus, sizes.spec.init_from
    missing = [] if corpus.built else [ToBuild("corpus", corpus.name, corpus.how)]
    if wanted and sizes.known.parent is None:
        missing.append(ToBuild("run", wanted, "submit the job of that name first"))
    missing += [
        ToBuild("vocabulary", facts.name, facts.how) for facts in sizes.facts if not facts.built
    ]
    return tuple(missing)
