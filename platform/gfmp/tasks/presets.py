"""The settings of a learner for one task: the preset, then its exceptions, the last one on top."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from gfmp.errors import Problem, SpecError
from gfmp.spec.learner import AnyLearner, Learner, LearnerSpec, TaskOverride
from gfmp.spec.load import load_spec
from gfmp.storage.documents import did_you_mean

_FIXED = "kind"


def load_learner(path: Path) -> LearnerSpec:
    """Read a file of specs/learners/ and apply every exception once.

    Raises:
        MissingInputError: there is no such file.
        SpecError: the file is wrong, or an exception names an unknown field or a value that its
            field does not take; each with `file:line:col`.
    """
    spec, document = load_spec(path, {"learner": LearnerSpec})
    problems = [
        Problem(message, document.where(("per_task", place, "set", field)), why, fix)
        for place, override in enumerate(spec.per_task)
        for field, message, why, fix in _faults(spec.learner, override)
    ]
    if problems:
        raise SpecError.of(problems)
    return spec


def resolved(spec: LearnerSpec, task: str) -> AnyLearner:
    """Return the learner for a task.

    Every exception whose pattern matches the task's name is applied in the order of the file,
    so where two set the same field the last one wins.

    Raises:
        SpecError: an exception that matches names an unknown field or a wrong value.
    """
    learner = spec.learner
    for override in spec.per_task:
        if fnmatchcase(task, override.tasks):
            faults = _faults(learner, override)
            if faults:
                where = f"per_task {override.tasks!r}"
                raise SpecError.of([Problem(m, where, why, fix) for _, m, why, fix in faults])
            learner = _applied(learner, override)
    return learner


def _applied(learner: AnyLearner, override: TaskOverride) -> AnyLearner:
    values = {**learner.model_dump(mode="json"), **override.set}
    changed: AnyLearner = TypeAdapter(Learner).validate_json(json.dumps(values))
    return changed


def _faults(learner: AnyLearner, override: TaskOverride) -> list[tuple[str, str, str, str]]:
    """Return (field, message, rule, remedy) of everything an exception gets wrong."""
    known = sorted(set(type(learner).model_fields) - {_FIXED})
    faults = [
        (
            field,
            f"{learner.kind} has no setting {field!r}",
            f"settings of {learner.kind} are {', '.join(known)}",
            did_you_mean(field, known) or "remove it",
        )
        for field in override.set
        if field not in known
    ]
    if faults:
        return faults
    try:
        _applied(learner, override)
    except ValidationError as fault:
        return [_wrong_value(detail, override) for detail in fault.errors(include_url=False)]
    return []


def _wrong_value(detail: ErrorDetails, override: TaskOverride) -> tuple[str, str, str, str]:
    named = [str(part) for part in detail["loc"] if part in override.set]
    field = named[0] if named else next(iter(override.set))
    message = f"{field}: {override.set[field]!r} is not allowed"
    return field, message, detail["msg"].removeprefix("Value error, "), "change the value"
