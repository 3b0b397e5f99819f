"""What `auto` stands for in a sweep: asked of the advisor once, then read from the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from gfmp.cluster.sweep_inputs import SweepNames
from gfmp.errors import MissingInputError, SpecError
from gfmp.ledger.advice import planned_advice
from gfmp.ledger.run import Run
from gfmp.plan.advice import Decision
from gfmp.spec.sweep import AUTO, SCRATCH
from gfmp.tasks.task import Task
from gfmp.vocabulary.vocabulary import Vocabulary

EVENT = "advised"


def questions(names: SweepNames) -> tuple[tuple[str, str], ...]:
    """Return the (task, initial model) whose vocabulary the spec leaves to the advisor."""
    found = (
        (task, initial)
        for arm in names.spec.arms
        if AUTO in arm.vocabularies
        for task in names.learned
        for initial in arm.initial
    )
    return tuple(sorted(set(found)))


def undecided(names: SweepNames) -> tuple[tuple[str, str], ...]:
    """Return the questions without an answer yet."""
    answered = {(one.task, one.initial) for one in names.decisions}
    return tuple(question for question in questions(names) if question not in answered)


def candidates(names: SweepNames, initial: str) -> dict[str, Vocabulary]:
    """Return the vocabularies an initial model can be crossed with.

    Those it was pretrained with; none while it is missing. For `scratch` those of the sweep's
    pretrained models, so that it chooses among the same; all registered ones where there is none.
    """
    if initial != SCRATCH:
        model = names.pretrained.get(initial)
        return dict(model.vocabularies) if model is not None else {}
    of_models = {name for model in names.pretrained.values() for name in model.vocabularies}
    wanted = of_models or set(names.vocabularies)
    return {name: names.vocabularies[name] for name in sorted(wanted)}


def decided(
    names: SweepNames, tasks: Mapping[str, Task], say: Callable[[str], object]
) -> SweepNames:
    """Ask the advisor for every `auto` of a sweep; `names` itself where there is none.

    Args:
        names: The sweep; nothing may be missing.
        tasks: Every task, prepared.
        say: Told of every decision.

    Raises:
        MissingInputError: there is no vocabulary to choose from.
        GfmpError: see `TaskAdvisor.advise`.
    """
    asked = questions(names)
    if not asked:
        return names
    from gfmp.learners.advisor import Effort, TaskAdvisor
    from gfmp.learners.initial import from_pretrained
    from gfmp.vocabulary.registry import FamilyRegistry

    families = FamilyRegistry.discover()
    advisors = {task: TaskAdvisor(tasks[task], families, Effort()) for task, _ in asked}
    found: list[Decision] = []
    for initial in sorted({initial for _, initial in asked}):
        known = _something(candidates(names, initial), initial)
        model = names.pretrained.get(initial)
        weights = from_pretrained(model) if model is not None else None
        for task in (task for task, of in asked if of == initial):
            decision = advisors[task].advise(known, initial, weights)
            found.append(decision)
            say(_words(decision))
    return replace(names, decisions=tuple(sorted(found, key=lambda one: (one.task, one.initial))))


def decided_before(names: SweepNames, run: Run) -> SweepNames:
    """Return a sweep with what was decided when it began; nothing is decided anew.

    Raises:
        CorruptArtefactError: the plan of the run was changed.
        SpecError: the spec asks for advice that the run has not.
    """
    asked = questions(names)
    settled = tuple(one for one in planned_advice(run) if (one.task, one.initial) in asked)
    names = replace(names, decisions=settled)
    if left := undecided(names):
        task, initial = left[0]
        raise SpecError(
            f"nothing was decided for `{AUTO}` on {task} from {initial}",
            where=str(run.path),
            why="a resumed sweep takes what was decided when it began",
            fix=f"start it anew with `{run.repeat_command}`: finished cells are not run again",
        )
    return names


def announced(
    run: Run, names: SweepNames, record: Callable[[str, Mapping[str, object]], object]
) -> None:
    """Record the decisions of a sweep, at its first start only; the evidence is in its plan."""
    if run.events(EVENT):
        return
    for one in names.decisions:
        fields = {"task": one.task, "initial": one.initial, "vocabulary": one.advice.vocabulary}
        record(EVENT, {**fields, "confidence": one.advice.confidence, "basis": one.advice.basis})


def _something(known: dict[str, Vocabulary], initial: str) -> dict[str, Vocabulary]:
    if not known:
        raise MissingInputError(
            f"there is no vocabulary that `{AUTO}` could stand for",
            where=f"initial model {initial}",
            why=f"no pretrained model is in the sweep besides `{SCRATCH}`, and none is registered",
            fix="gfmp register-vocab bpe4096",
        )
    return known


def _words(decision: Decision) -> str:
    advice = decision.advice
    return (
        f"{AUTO} on {decision.task} from {decision.initial}: {advice.vocabulary}"
        f" (confidence {advice.confidence:.0%}, by {advice.basis}, {decision.basis.seconds:.0f} s)"
    )
