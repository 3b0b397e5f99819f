"""What the names in a sweep spec stand for; nothing is run, torch is not imported."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from gfmp.errors import MissingInputError, Problem, SpecError
from gfmp.plan.cells import Cell, Ingredient
from gfmp.plan.grid import Bindings, CellRequest, requests, scratch_ingredient
from gfmp.plan.search import SweepGrid, refused
from gfmp.spec.learner import AnyLearner, Finetuning, LearnerSpec, Probe
from gfmp.spec.load import load_spec
from gfmp.spec.model import Architecture, ModelSpec
from gfmp.spec.project import find_named
from gfmp.spec.sweep import SCRATCH, Arm, SweepSpec
from gfmp.storage.documents import Document, Key, did_you_mean
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
    """

    spec: SweepSpec
    targets: tuple[TaskTarget, ...]
    learners: tuple[LearnerSpec, ...]
    pretrained: Mapping[str, Pretrained]
    folders: Mapping[str, Path]
    scratch: Architecture | None
    vocabularies: Mapping[str, Vocabulary]
    missing: tuple[Problem, ...]

    def requests(self) -> tuple[CellRequest, ...]:
        """Return every cell the spec asks for, by names."""
        names = [target.name for target in self.targets]
        return requests(self.spec, names, lambda arm, task: resolved(self.learners[arm], task))

    def unprepared(self, workspace: Workspace) -> tuple[TaskTarget, ...]:
        """Return the tasks that are not prepared yet."""
        store = TaskStore(workspace)
        return tuple(target for target in self.targets if not store.prepared(target))


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
    learners = tuple(_learner(arm, start) for arm in spec.arms)
    _check_arms(spec, learners, document)
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
        SpecError: a subset lacks a class; says from which percent on it works.
    """
    assert not names.missing, "the caller made what was missing"

    @cache
    def _subset(task: str, percent: float, seed: int, most_rows: int) -> Subset:
        return choose(tasks[task], percent, seed, most_rows)

    asked = names.requests()
    bindings = Bindings(
        tasks={name: Ingredient(name, task.fingerprint) for name, task in tasks.items()},
        vocabularies={n: Ingredient(n, v.fingerprint) for n, v in names.vocabularies.items()},
        initials={
            (request.initial, request.vocabulary): _initial(names, request, foreign)
            for request in asked
            if request.initial
        },
        subset=_subset,
    )
    return SweepGrid(asked, bindings)


def _initial(names: SweepNames, request: CellRequest, foreign: Foreign) -> Ingredient:
    if request.initial == SCRATCH:
        assert names.scratch is not None, "missing architectures were reported"
        return scratch_ingredient(names.scratch, names.vocabularies[request.vocabulary])
    if request.initial in names.pretrained:
        return Ingredient(request.initial, names.pretrained[request.initial].fingerprint)
    return foreign(request.initial, request.vocabulary)


def _learner(arm: Arm, start: Path) -> LearnerSpec:
    if not isinstance(arm.learner, str):
        return LearnerSpec(kind="learner", description="written out", learner=arm.learner)
    return load_learner(find_named("learners", arm.learner, start))


def _place(document: Document, key: Key) -> str:
    """Return the place of a key of a sweep; a fine-tuning job has its one arm at the top."""
    if "arms" not in document.value:
        fields = {"tasks": "task", "initial": "initial", "vocabularies": "vocabulary"}
        key = next(((fields[part],) for part in key if part in fields), ("learner",))
    return document.where(key)


def _check_tasks(targets: tuple[TaskTarget, ...], document: Document) -> None:
    """Check that each task has a name of its own, which tables and the report go by."""
    first: dict[str, TaskTarget] = {}
    problems = [
        Problem(
            f"two tasks are called {target.name!r}: {first[target.name].where} and {target.where}",
            _place(document, ("tasks", place)),
            "results are kept by the name of their task",
            "remove one, or give its file or folder another name",
        )
        for place, target in enumerate(targets)
        if first.setdefault(target.name, target) is not target
    ]
    if problems:
        raise SpecError.of(problems)


def _check_arms(spec: SweepSpec, learners: tuple[LearnerSpec, ...], document: Document) -> None:
    """Check what only the resolved learner shows: encoders need a model, baselines have none."""
    problems = [
        problem
        for index, (arm, preset) in enumerate(zip(spec.arms, learners, strict=True))
        for problem in (
            *_crossing_problems(index, arm, preset.learner, document),
            *_search_problems(index, arm, preset.learner, document),
        )
    ]
    if problems:
        raise SpecError.of(problems)


def _crossing_problems(
    index: int, arm: Arm, learner: AnyLearner, document: Document
) -> Iterator[Problem]:
    encoder = isinstance(learner, Finetuning | Probe)
    if encoder != bool(arm.initial):
        needs = "needs vocabularies and initial" if encoder else "has no vocabularies or initial"
        yield Problem(
            f"arm {index}: the learner {learner.kind!r} {needs}",
            _place(document, ("arms", index)),
            "an encoder starts from an initial model; a baseline reads bases",
            "add vocabularies and initial" if encoder else "remove vocabularies and initial",
        )
    if isinstance(learner, Probe) and SCRATCH in arm.initial:
        yield Problem(
            f"arm {index}: a frozen probe of `{SCRATCH}`",
            _place(document, ("arms", index, "initial")),
            "a frozen random encoder is no baseline: what starts from scratch is trained whole",
            f"remove `{SCRATCH}` here, and add it to an arm of kind finetune",
        )


def _search_problems(
    index: int, arm: Arm, learner: AnyLearner, document: Document
) -> Iterator[Problem]:
    known = _searchable(learner)
    for name, values in arm.search.space.items() if arm.search else ():
        where = _place(document, ("arms", index, "search", "space", name))
        if name not in known:
            yield Problem(
                f"arm {index}: search has no field {name!r}",
                where,
                f"{learner.kind} has: {', '.join(known)}",
                did_you_mean(name, known) or "remove it",
            )
        elif reason := refused(learner, name, values):
            yield Problem(
                f"arm {index}: search: {name} cannot be {reason}",
                where,
                f"every value of the space has to suit a learner of kind {learner.kind}",
                "change the values",
            )


def _searchable(learner: AnyLearner) -> tuple[str, ...]:
    return tuple(name for name in type(learner).model_fields if name != "kind")


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
                where = _place(document, ("arms", index, "initial", place))
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


def _unknown_vocabularies(
    spec: SweepSpec, document: Document, known: Mapping[str, Vocabulary], model_missing: bool
) -> tuple[Problem, ...]:
    missing: dict[str, Problem] = {}
    for index, arm in enumerate(spec.arms):
        for place, name in enumerate(arm.vocabularies):
            if name in known or name in missing:
                continue
            missing[name] = Problem(
                f"there is no vocabulary {name!r}",
                _place(document, ("arms", index, "vocabularies", place)),
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
            _place(document, ("arms", index, "vocabularies", place)),
            f"it has: {', '.join(sorted(names.pretrained[initial].vocabularies))}",
            "use one of those, pretrain a model with it, or cross it with `scratch` only",
        )
        for index, arm in enumerate(names.spec.arms)
        for place, name in enumerate(arm.vocabularies)
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
            _place(document, ("arms", index, "initial", arm.initial.index(SCRATCH))),
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
