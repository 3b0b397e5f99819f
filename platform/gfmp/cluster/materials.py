"""What the trials of a sweep share, made once by Ray tasks and kept in its object store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from gfmp.cluster.sweep_inputs import SweepNames
from gfmp.cluster.trial import Materials, fetched
from gfmp.errors import GfmpError
from gfmp.plan.cells import Cell, Ingredient
from gfmp.spec.model import Architecture
from gfmp.spec.sweep import SCRATCH
from gfmp.spec.vocabularies import parts
from gfmp.tasks.task import Task
from gfmp.training.pretrained import Pretrained
from gfmp.vocabulary.vocabulary import Vocabulary

Record = Callable[[str, Mapping[str, object]], object]


def prepare(
    names: SweepNames, tasks: Mapping[str, Task], cells: Iterable[Cell], record: Record
) -> Materials:
    """Tokenise and load what these cells need, each thing once; needs a Ray session.

    Args:
        names: The sweep.
        tasks: Every task, prepared.
        cells: The cells that will run.
        record: Told of every tokenisation.
    """
    import ray

    cells = tuple(cells)
    keys = {cell.trial for cell in cells}
    read = {(name, cell.trial.vocabulary) for cell in cells for name in _read(cell)}
    shared = {name: ray.put(tasks[name]) for name in sorted({name for name, _ in read})}
    # Those read at once are the tokens of each alone.
    wanted = sorted({(task, name) for task, words in read for name in parts(words)})
    models = {
        (key.initial, key.vocabulary): _initial(names, key.initial, key.vocabulary)
        for key in sorted(keys)
        if key.initial
    }
    encode = ray.remote(num_cpus=1, num_returns=2)(_encode)
    made = {
        (task, name): encode.remote(shared[task], names.vocabularies[name]) for task, name in wanted
    }
    for (task, name), (_, fact) in made.items():
        try:
            num_tokens, seconds = fetched(fact)
        except GfmpError:
            # Only the cells that read these tokens fail, each with this error.
            continue
        fields = {"task": task, "vocabulary": name, "tokens": num_tokens, "seconds": seconds}
        record("tokenised", fields)
    return Materials(shared, {key: tokens for key, (tokens, _) in made.items()}, models)


def _read(cell: Cell) -> tuple[str, ...]:
    """Return the tasks whose rows a cell reads."""
    return (cell.task.name, *(other.name for other in cell.also_on))


def foreign_ingredient(names: SweepNames, folder: str, vocabulary: str) -> Ingredient:
    """Return the identity of an initial model in a folder of another program.

    Raises:
        MissingInputError, DataError: the folder does not hold such a model.
    """
    from gfmp.learners.interop import from_folder

    return Ingredient(folder, from_folder(names.folders[folder], vocabulary).fingerprint)


def _encode(task: Task, vocabulary: Vocabulary) -> tuple[object, tuple[int, float]]:
    from gfmp.learners.tokens import TaskTokens
    from gfmp.vocabulary.registry import FamilyRegistry

    began = time.monotonic()
    tokens = TaskTokens.encode(task, FamilyRegistry.discover().tokenizer(vocabulary))
    return tokens, (tokens.num_tokens, round(time.monotonic() - began, 3))


def _initial(names: SweepNames, initial: str, vocabulary: str) -> Any:  # noqa: ANN401 - Ray is untyped
    import ray

    if initial == SCRATCH:
        assert names.scratch is not None, "missing architectures were reported"
        return ray.remote(_scratch).remote(names.scratch, *names.members(vocabulary))
    if initial in names.pretrained:
        return ray.remote(_from_pretrained).remote(names.pretrained[initial])
    return ray.remote(_from_folder).remote(names.folders[initial], vocabulary)


def _scratch(architecture: Architecture, *vocabularies: Vocabulary) -> object:
    from gfmp.learners.initial import scratch

    return scratch(architecture, *vocabularies)


def _from_pretrained(found: Pretrained) -> object:
    from gfmp.learners.initial import from_pretrained

    return from_pretrained(found)


def _from_folder(folder: Path, vocabulary: str) -> object:
    from gfmp.learners.interop import from_folder

    return from_folder(folder, vocabulary)
