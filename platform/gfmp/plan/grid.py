"""A sweep spec to the cells it asks for, and those to cells with an identity; pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from gfmp.plan.cells import Cell, Ingredient, TrialKey
from gfmp.spec.learner import CONCAT, AnyLearner, Finetuning
from gfmp.spec.model import Architecture
from gfmp.spec.sweep import AUTO, SCRATCH, Search, SweepSpec
from gfmp.spec.vocabularies import parts
from gfmp.storage.hashes import fingerprint
from gfmp.tasks.subsets import Subset
from gfmp.vocabulary.vocabulary import Vocabulary

# Goes up when `gfmp.model.initialise` draws other numbers from the same seed.
INITIALISATION_VERSION = 1


@dataclass(frozen=True)
class CellRequest:
    """A cell by names, before anything is looked up.

    Attributes:
        arm: Which arm of the spec asks for it, from 0.
        vocabulary: One, or several by their one name (`bpe4096+kmer6`).
        max_train_rows: Most rows of its subset; 0 is no limit.
        search: Hyper-parameters that are chosen before it runs.
        also_on: Other tasks whose test rows its model is scored on too, sorted.
    """

    arm: int
    task: str
    vocabulary: str
    initial: str
    learner: AnyLearner
    label_percent: float
    seed: int
    max_train_rows: int
    search: Search | None = None
    also_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bindings:
    """What the names of a sweep stand for.

    Attributes:
        tasks: Name -> content, also of tasks that are only scored.
        vocabularies: Name -> content, also of several by their one name.
        initials: (initial, vocabulary) -> content.
        subset: (task, percent, seed, most rows) -> the chosen rows.
    """

    tasks: Mapping[str, Ingredient]
    vocabularies: Mapping[str, Ingredient]
    initials: Mapping[tuple[str, str], Ingredient]
    subset: Callable[[str, float, int, int], Subset]


LearnerOf = Callable[[int, str], AnyLearner]


Advised = Mapping[tuple[str, str], str]
_NO_ADVICE: Advised = MappingProxyType({})
Others = Mapping[str, tuple[str, ...]]
_NO_OTHERS: Others = MappingProxyType({})


def requests(
    spec: SweepSpec,
    task_names: Sequence[str],
    learner: LearnerOf,
    advised: Advised = _NO_ADVICE,
    others: Others = _NO_OTHERS,
) -> tuple[CellRequest, ...]:
    """Cross the axes of every arm.

    Args:
        spec: The sweep.
        task_names: Names of `spec.tasks`, in the same order.
        learner: (arm, task name) -> settings of the learner there.
        advised: (task name, initial model) -> what `auto` stands for there; it stays `auto`
            where nothing was decided yet.
        others: Task name -> other tasks on whose test rows its models are scored too.

    Returns:
        Requests ordered by arm, task, vocabulary, initial model, label percent, seed. What two
        arms ask for alike is there once, or it would count twice in every mean.
    """
    found = (
        CellRequest(
            index,
            task,
            vocabulary,
            initial,
            _settled(learner(index, task), vocabulary),
            percent,
            seed,
            arm.max_train_rows,
            arm.search,
            others.get(task, ()),
        )
        for index, arm in enumerate(spec.arms)
        for task in task_names
        for value in arm.vocabularies or ("",)
        for initial in arm.initial or ("",)
        for vocabulary in (advised.get((task, initial), AUTO) if value == AUTO else value,)
        for percent in arm.label_percents or spec.label_percents
        for seed in spec.seeds
    )
    once: dict[tuple[object, ...], CellRequest] = {}
    for request in found:
        once.setdefault(_content(request), request)
    return tuple(once.values())


def _settled(learner: AnyLearner, vocabulary: str) -> AnyLearner:
    """Return the settings without a join where there is one vocabulary, so nothing to join."""
    if isinstance(learner, Finetuning) and len(parts(vocabulary)) == 1:
        return learner.model_copy(update={"join": CONCAT})
    return learner


def _content(request: CellRequest) -> tuple[object, ...]:
    """Return all of a request but the arm, hashable."""
    search = request.search.model_dump_json() if request.search else ""
    return (
        request.task,
        request.vocabulary,
        request.initial,
        request.learner,
        request.label_percent,
        request.seed,
        request.max_train_rows,
        search,
    )


def bound(request: CellRequest, bindings: Bindings, learner: AnyLearner | None = None) -> Cell:
    """Give a request its identity.

    Args:
        request: What the spec asks for.
        bindings: What its names stand for.
        learner: Settings that a search chose; without them those of the request.
    """
    subset = bindings.subset(
        request.task, request.label_percent, request.seed, request.max_train_rows
    )
    nothing = Ingredient()
    model = (request.initial, request.vocabulary)
    return Cell(
        task=bindings.tasks[request.task],
        vocabulary=bindings.vocabularies[request.vocabulary] if request.vocabulary else nothing,
        initial=bindings.initials[model] if request.initial else nothing,
        learner=learner or request.learner,
        label_percent=request.label_percent,
        seed=request.seed,
        subset=subset.fingerprint,
        num_rows=len(subset.rows),
        also_on=tuple(bindings.tasks[name] for name in request.also_on),
    )


def scratch_ingredient(architecture: Architecture, *vocabularies: Vocabulary) -> Ingredient:
    """Return the identity of an untrained encoder of one vocabulary, or of several."""
    words = [Ingredient(one.name, one.fingerprint) for one in vocabularies]
    identity = {
        "scratch": INITIALISATION_VERSION,
        "architecture": architecture.model_dump(mode="json"),
        "vocabulary": Ingredient.together(words).fingerprint,
    }
    return Ingredient(SCRATCH, fingerprint(identity))


def trials(cells: Sequence[Cell]) -> Mapping[TrialKey, tuple[Cell, ...]]:
    """Group cells that share a task, a vocabulary and an initial model; equal cells once.

    The trial that will take longest comes first, so that the last worker is not left alone with
    it; inside a trial the cells keep their order.
    """
    groups: dict[TrialKey, dict[str, Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.trial, {}).setdefault(cell.fingerprint, cell)
    found = {key: tuple(group.values()) for key, group in groups.items()}
    order = sorted(found, key=lambda key: (-_work(found[key]), key))
    return {key: found[key] for key in order}


def _work(cells: Sequence[Cell]) -> float:
    """Say roughly how long cells take, in arbitrary units."""
    # A full fine-tuning scores validation and test once per epoch; a probe cell costs little.
    # Each vocabulary is read on its own.
    shares = {"full": 10.0, "lora": 8.0, "cnn": 4.0, "probe": 1.0, "kmer": 0.5}
    return sum(shares[cell.method] * max(1, len(cell.vocabularies)) for cell in cells)
