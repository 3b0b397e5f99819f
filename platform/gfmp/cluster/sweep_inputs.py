"""What the names in a sweep spec stand for; nothing is run, torch is not imported."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from gfmp.cluster.arms import check_arms, place_of
from gfmp.cluster.transfers import also_on, check_alike, check_said, pools, scored_only
from gfmp.errors import MissingInputError, Problem, SpecError
from gfmp.plan.advice import Decision
from gfmp.plan.cells import Cell, Ingredient
from gfmp.plan.grid import Bindings, CellRequest, requests, scratch_ingredient
from gfmp.plan.search import SweepGrid
from gfmp.spec.learner import LearnerSpec
from gfmp.spec.load import load_spec
from gfmp.spec.model import Architecture, ModelSpec
from gfmp.spec.project import find_named
from gfmp.spec.sweep import AUTO, SCRATCH, Arm, SweepSpec
from gfmp.spec.vocabularies import parts
from gfmp.storage.documents import Document, did_you_mean
from gfmp.storage.workspace import Workspace
from gfmp.tasks.catalogue import TaskTarget, find_task
from gfmp.tasks.presets import load_learner, resolved
from gfmp.tasks.store import TaskStore
from gfmp.tasks.subsets import Subset, choose
from gfmp.tasks.task import Task
from gfmp.training.pretrained import Pretrained, find_pretrained
from gfmp.vocabulary.store import VocabularyStore
from gfmp.vocabulary.vocabulary import Vocabulary

_UNPINNED: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class SweepNames:
    """A sweep spec with its names looked up.

    Attributes:
        spec: The sweep.
        targets: Its tasks.
        learners: Per arm its preset.
        pretrained: Initial models that are pretraining runs.
        folders: Initial models that are folders of other programs.
        scratch: Architecture of `scratch`; None when no arm starts from it, or when it is that
            of a pretrained model which is missing.
        vocabularies: By name; those of a pretrained model first, then the registered ones.
        missing: What has to be made before the sweep can run.
        decisions: What `auto` stands for, by task and initial model; none before it is decided.
        scored: Tasks that are only scored, by models of other tasks.
    """

    spec: SweepSpec
    targets: tuple[TaskTarget, ...]
    learners: tuple[LearnerSpec, ...]
    pretrained: Mapping[str, Pretrained]
    folders: Mapping[str, Path]
    scratch: Architecture | None
    vocabularies: Mapping[str, Vocabulary]
    missing: tuple[Problem, ...]
    decisions: tuple[Decision, ...] = ()
    scored: tuple[TaskTarget, ...] = ()

    @property
    def every(self) -> tuple[TaskTarget, ...]:
        """Every task, also those that are only scored."""
        return (*self.targets, *self.scored)

    @property
    def pools(self) -> Mapping[str, tuple[str, ...]]:
        """Pools of tasks that are learned from as one, with their members."""
        return pools(self.spec, self.targets)

    @property
    def learned(self) -> tuple[str, ...]:
        """Names of all that is learned from: tasks, then pools of them."""
        return (*(target.name for target in self.targets), *self.pools)

    def others(self) -> Mapping[str, tuple[str, ...]]:
        """Return for each task the other tasks on which its models are scored."""
        return also_on(self.spec, self.targets, self.scored)

    def members(self, vocabulary: str) -> tuple[Vocabulary, ...]:
        """Return the vocabularies that a value of the axis stands for: one, or several at once."""
        return tuple(self.vocabularies[name] for name in parts(vocabulary))

    def requests(self) -> tuple[CellRequest, ...]:
        """Return every cell the spec asks for, by names."""
        advised = {(one.task, one.initial): one.advice.vocabulary for one in self.decisions}
        return requests(
            self.spec,
            self.learned,
            lambda arm, task: resolved(self.learners[arm], task),
            advised,
            self.others(),
        )

    def unprepared(self, workspace: Workspace) -> tuple[TaskTarget, ...]:
        """Return the tasks that are not prepared yet."""
        store = TaskStore(workspace)
        return tuple(target for target in self.every if not store.prepared(target))


def look_up(
    spec: SweepSpec, document: Document, workspace: Workspace, pinned: Mapping[str, str] = _UNPINNED
) -> SweepNames:
    """Look up every name of a sweep.

    Args:
        spec: The sweep.
        document: Where it comes from, for the places of problems.
        workspace: Holds the runs and vocabularies it names.
        pinned: Initial model -> id of the run it meant when the sweep began; without it the
            newest finished run of that name.

    Raises:
        MissingInputError: a task, preset or architecture that does not exist.
        SpecError: one of their files is wrong, or an arm crosses what cannot be crossed.
    """
    start = document.path
    targets = tuple(find_task(name, start) for name in spec.tasks)
    _check_tasks(targets, document)
    scored = scored_only(spec, start, targets)
    check_said(spec, (*targets, *scored), document)
    _check_leaks(spec, (*targets, *scored), document)
    learners = tuple(_learner(arm, start) for arm in spec.arms)
    check_arms(spec, learners, document)
    pretrained, missing = _pretrained(spec, document, workspace, pinned)
    known = _vocabularies(pretrained, workspace)
    folders = {
        name: (start.parent / name).resolve()
        for arm in spec.arms
        for name in arm.initial
        if name.endswith("/")
    }
    names = SweepNames(
        spec=spec,
        targets=targets,
        learners=learners,
        pretrained=pretrained,
        folders=folders,
        scratch=_scratch(spec, start, pretrained),
        vocabularies=known,
        missing=(*missing, *_unknown_vocabularies(spec, document, known, bool(missing))),
        scored=scored,
    )
    _check_pretrained(names, document)
    _check_scratch(names, document)
    return names


Foreign = Callable[[str, str], Ingredient]


def bind(names: SweepNames, tasks: Mapping[str, Task], foreign: Foreign) -> tuple[Cell, ...]:
    """Give every requested cell its identity whose settings need no search; see `bind_grid`."""
    return bind_grid(names, tasks, foreign).cells({})


def bind_grid(names: SweepNames, tasks: Mapping[str, Task], foreign: Foreign) -> SweepGrid:
    """Give the names of a sweep their content.

    Args:
        names: The sweep with its names looked up; nothing may be missing.
        tasks: Every task, prepared.
        foreign: (folder name, vocabulary) -> identity of an initial model in a folder.

    Raises:
        DataError: a subset lacks a class, and from which percent on it works; or a task is to be
            scored by models of another question.
    """
    check_alike(tasks, names.others())
    assert not names.missing, "the caller made what was missing"

    @cache
    def _subset(task: str, percent: float, seed: int, most_rows: int) -> Subset:
        return choose(tasks[task], percent, seed, most_rows)

    asked = names.requests()
    bindings = Bindings(
        tasks={name: Ingredient(name, task.fingerprint) for name, task in tasks.items()},
        vocabularies={
            request.vocabulary: _words(names, request.vocabulary)
            for request in asked
            if request.vocabulary
        },
        initials={
            (request.initial, request.vocabulary): _initial(names, request, foreign)
            for request in asked
            if request.initial
        },
        subset=_subset,
    )
    return SweepGrid(asked, bindings)


def _words(names: SweepNames, vocabulary: str) -> Ingredient:
    members = names.members(vocabulary)
    return Ingredient.together([Ingredient(one.name, one.fingerprint) for one in members])


def _initial(names: SweepNames, request: CellRequest, foreign: Foreign) -> Ingredient:
    if request.initial == SCRATCH:
        assert names.scratch is not None, "missing architectures were reported"
        return scratch_ingredient(names.scratch, *names.members(request.vocabulary))
    if request.initial in names.pretrained:
        return Ingredient(request.initial, names.pretrained[request.initial].fingerprint)
    return foreign(request.initial, request.vocabulary)


def _learner(arm: Arm, start: Path) -> LearnerSpec:
    if not isinstance(arm.learner, str):
        return LearnerSpec(kind="learner", description="written out", learner=arm.learner)
    return load_learner(find_named("learners", arm.learner, start))


def _check_tasks(targets: tuple[TaskTarget, ...], document: Document) -> None:
    """Check that each task has a name of its own, which tables and the report go by."""
    first: dict[str, TaskTarget] = {}
    problems = [
        Problem(
            f"two tasks are called {target.name!r}: {first[target.name].where} and {target.where}",
            place_of(document, ("tasks", place)),
            "results are kept by the name of their task",
            "remove one, or give its file or folder another name",
        )
        for place, target in enumerate(targets)
        if first.setdefault(target.name, target) is not target
    ]
    if problems:
        raise SpecError.of(problems)


def _check_leaks(spec: SweepSpec, targets: tuple[TaskTarget, ...], document: Document) -> None:
    """Check that leaks are allowed of tasks the sweep has."""
    known = [target.name for target in targets]
    problems = [
        Problem(
            f"allow_leaks: the sweep has no task {name!r}",
            place_of(document, ("allow_leaks", place)),
            f"its tasks are called {', '.join(known)}",
            did_you_mean(name, known) or "remove it",
        )
        for place, name in enumerate(spec.allow_leaks)
        if name not in known
    ]
    if problems:
        raise SpecError.of(problems)


def _pretrained(
    spec: SweepSpec, document: Document, workspace: Workspace, pinned: Mapping[str, str]
) -> tuple[dict[str, Pretrained], tuple[Problem, ...]]:
    found: dict[str, Pretrained] = {}
    missing: dict[str, Problem] = {}
    for index, arm in enumerate(spec.arms):
        for place, name in enumerate(arm.initial):
            if name == SCRATCH or name.endswith("/") or name in found or name in missing:
                continue
            try:
                found[name] = find_pretrained(pinned.get(name, name), workspace)
            except MissingInputError as fault:
                first = fault.problems[0]
                where = place_of(document, ("arms", index, "initial", place))
                fix = f"{first.fix}; a demo model comes from `gfmp submit jobs/pretrain.yaml`"
                missing[name] = Problem(first.message, where, first.why, fix)
    return found, tuple(missing.values())


def _vocabularies(
    pretrained: Mapping[str, Pretrained], workspace: Workspace
) -> dict[str, Vocabulary]:
    store = VocabularyStore(workspace.vocabularies)
    known = {name: store.get(name) for name in store.names()}
    for model in reversed(list(pretrained.values())):
        # A model reads the vocabulary it was trained with, whatever was registered since.
        known |= model.vocabularies
    return known


def _named_vocabularies(arm: Arm) -> Iterator[tuple[int, str]]:
    """Yield every vocabulary of an arm with the place of the value that names it."""
    for place, value in enumerate(arm.vocabularies):
        for name in parts(value) if value != AUTO else ():
            yield place, name


def _unknown_vocabularies(
    spec: SweepSpec, document: Document, known: Mapping[str, Vocabulary], model_missing: bool
) -> tuple[Problem, ...]:
    missing: dict[str, Problem] = {}
    for index, arm in enumerate(spec.arms):
        for place, name in _named_vocabularies(arm):
            if name in known or name in missing:
                continue
            missing[name] = Problem(
                f"there is no vocabulary {name!r}",
                place_of(document, ("arms", index, "vocabularies", place)),
                f"known: {', '.join(sorted(known)) or 'nothing'}",
                "it comes with the initial model"
                if model_missing
                else f"gfmp register-vocab {name}",
            )
    return tuple(missing.values())


def _check_pretrained(names: SweepNames, document: Document) -> None:
    """Check that every pretrained model knows the vocabularies it is crossed with."""
    problems = [
        Problem(
            f"the initial model {initial!r} was not trained with vocabulary {name!r}",
            place_of(document, ("arms", index, "vocabularies", place)),
            f"it has: {', '.join(sorted(names.pretrained[initial].vocabularies))}",
            "use one of those, pretrain a model with it, or cross it with `scratch` only",
        )
        for index, arm in enumerate(names.spec.arms)
        for place, name in _named_vocabularies(arm)
        for initial in arm.initial
        if initial in names.pretrained and name not in names.pretrained[initial].vocabularies
    ]
    if problems:
        raise SpecError.of(problems)


def _check_scratch(names: SweepNames, document: Document) -> None:
    """Check that `scratch` has an architecture, or will have that of a model still to come."""
    if names.scratch is not None or names.missing:
        return
    problems = [
        Problem(
            f"`{SCRATCH}` has no architecture",
            place_of(document, ("arms", index, "initial", arm.initial.index(SCRATCH))),
            "it takes that of scratch_model, or of the first pretraining run of the sweep",
            "add scratch_model, such as `scratch_model: tiny` (specs/models/)",
        )
        for index, arm in enumerate(names.spec.arms)
        if SCRATCH in arm.initial
    ]
    if problems:
        raise SpecError.of(problems)


def _scratch(
    spec: SweepSpec, start: Path, pretrained: Mapping[str, Pretrained]
) -> Architecture | None:
    if isinstance(spec.scratch_model, Architecture):
        return spec.scratch_model
    if spec.scratch_model:
        path = find_named("models", spec.scratch_model, start)
        return load_spec(path, {"model": ModelSpec})[0].architecture
    first = next(iter(pretrained.values()), None)
    return first.architecture if first else None
