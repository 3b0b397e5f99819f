"""Searches over hyper-parameters: whose they are, which settings they try, which one wins.

A search belongs to one task, model and label percent; nothing here compares two of them.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from pydantic import TypeAdapter, ValidationError

from gfmp.errors import SpecError
from gfmp.plan.cells import Cell
from gfmp.plan.grid import Bindings, CellRequest, bound
from gfmp.spec.learner import AnyLearner, CnnBaseline, Finetuning, Learner
from gfmp.spec.sweep import Search, Values
from gfmp.storage.hashes import fingerprint

# Settings that the learner refuses and settings drawn before are drawn again, this often.
_DRAWS_PER_SAMPLE = 20
_DIGITS = 3


@dataclass(frozen=True)
class SearchPlan:
    """The search of one task, model and label percent.

    Attributes:
        search: What the spec asks for.
        base: The cell of the first seed with the settings of the preset.
    """

    search: Search
    base: Cell

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of what decides which settings are tried, and on what."""
        asked = self.search.model_dump(mode="json")
        return fingerprint({"search": asked, "base": self.base.fingerprint})

    @cached_property
    def samples(self) -> tuple[Cell, ...]:
        """The cells that are tried: the first seed with each of the drawn settings."""
        drawn = sampled(self.search, self.base.learner, self.fingerprint)
        return tuple(replace(self.base, learner=learner) for learner in drawn)

    @property
    def name(self) -> str:
        """What people read: model, task and label percent."""
        base = self.base
        return f"{base.model} on {base.task.name} at {base.label_percent:g} %"

    @property
    def rungs_end(self) -> int:
        """Epochs of the longest setting when ASHA may stop some before; else 0."""
        most = max(epochs(cell.learner) for cell in self.samples)
        return most if self.search.halving and most > 1 and len(self.samples) > 1 else 0

    def to_json(self) -> dict[str, object]:
        """Return JSON values with the fingerprint and every cell that is tried."""
        return {
            "fingerprint": self.fingerprint,
            "search": self.search.model_dump(mode="json"),
            "base": self.base.to_json(),
            "samples": [cell.to_json() for cell in self.samples],
        }

    @classmethod
    def from_json(cls, value: dict[str, object]) -> SearchPlan:
        """Rebuild a search written by `to_json`.

        Raises:
            ValueError: a field is missing or of another type, or what it says is not what its
                fingerprint names.
        """
        base = value.get("base")
        if not isinstance(base, dict):
            raise ValueError("the search has no base cell")
        search = Search.model_validate_json(json.dumps(value.get("search")))
        found = cls(search, Cell.from_json(base))
        if found.fingerprint != value.get("fingerprint"):
            raise ValueError("its content is not what its fingerprint names")
        return found


@dataclass(frozen=True)
class Tried:
    """One setting that was tried.

    Attributes:
        cell: Fingerprint of its cell.
        score: Best validation score; -inf where the metric is undefined or it failed.
        scores: Validation score after each epoch; empty for learners without epochs.
        stopped: ASHA ended it early; it has no result.
        error: Why it failed; empty when it did not.
    """

    cell: str
    score: float
    scores: tuple[float, ...] = ()
    stopped: bool = False
    error: str = ""

    @property
    def whole(self) -> bool:
        """True when it ran to its end and has a result."""
        return not self.stopped and not self.error


@dataclass(frozen=True)
class SearchOutcome:
    """How a search ended.

    Attributes:
        search: Fingerprint of the search.
        tried: Every setting, in the order in which they were drawn.
        chosen: Place of the winner in `tried`.
        why: Why it won.
        metric: What validation was scored by.
    """

    search: str
    tried: tuple[Tried, ...]
    chosen: int
    why: str
    metric: str


def sampled(search: Search, learner: AnyLearner, key: str) -> tuple[AnyLearner, ...]:
    """Draw the settings of one search: a pure function of its arguments.

    Values of a range are rounded to 3 digits, and to whole numbers where the preset has one.
    Equal settings, and those the learner refuses, are drawn again; a small space may have fewer
    than `search.samples` different ones.

    Args:
        search: The space and the number of settings.
        learner: The preset; fields outside the space stay as they are.
        key: Identity of the search.

    Raises:
        SpecError: the learner refuses every setting of the space.
    """
    found: dict[str, AnyLearner] = {}
    refusal = ""
    for draw in range(search.samples * _DRAWS_PER_SAMPLE):
        if len(found) == search.samples:
            break
        setting = {
            name: _value(values, _uniform(f"{key}:{draw}:{name}"))
            for name, values in search.space.items()
        }
        try:
            made = with_setting(learner, setting)
        except ValidationError as fault:
            refusal = fault.errors(include_url=False)[0]["msg"]
            continue
        found.setdefault(made.model_dump_json(), made)
    if not found:
        raise SpecError(
            f"no setting of the search is allowed for {learner.kind}",
            why=refusal,
            fix="change the space so that some settings are",
        )
    return tuple(found.values())


def with_setting(learner: AnyLearner, setting: Mapping[str, float | int | str]) -> AnyLearner:
    """Return a learner with some fields changed.

    A field that lists values is given a list of one.

    Raises:
        pydantic.ValidationError: the learner does not take a value.
    """
    body = learner.model_dump(mode="json")
    for name, value in setting.items():
        old = body.get(name)
        whole = isinstance(old, int) and isinstance(value, float)
        fitting = round(value) if whole and isinstance(value, float) else value
        body[name] = [fitting] if isinstance(old, list) else fitting
    changed: AnyLearner = TypeAdapter(Learner).validate_json(json.dumps(body))
    return changed


def refused(learner: AnyLearner, name: str, values: Values) -> str:
    """Return why a learner does not take one of these values; empty when it takes them all."""
    asked = values.choices or tuple(v for v in (values.low, values.high) if v is not None)
    for value in asked:
        try:
            with_setting(learner, {name: value})
        except ValidationError as fault:
            # Rules that tie two fields are met by drawing again.
            details = [d for d in fault.errors(include_url=False) if name in d["loc"]]
            if details:
                return f"{value!r}: {details[0]['msg']}"
    return ""


def _uniform(key: str) -> float:
    """Return a number in [0, 1) that depends on nothing but `key`."""
    return (int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) >> 11) * 2.0**-53


def _value(values: Values, position: float) -> float | int | str:
    """Return the value at a position in [0, 1) of a list or a range."""
    if values.low is None or values.high is None:
        return values.choices[int(position * len(values.choices))]
    if values.scale == "log":
        exact = values.low * (values.high / values.low) ** position
    else:
        exact = values.low + (values.high - values.low) * position
    return min(max(float(f"{exact:.{_DIGITS}g}"), values.low), values.high)


def epochs(learner: AnyLearner) -> int:
    """Return the most epochs a learner takes; 1 for those that have none."""
    return learner.epochs if isinstance(learner, Finetuning | CnnBaseline) else 1


def choice(tried: Sequence[Tried]) -> tuple[int, str]:
    """Return the place of the best setting and why it is the best.

    Only settings that ran whole can win: the highest validation score, the earlier drawn on a
    tie. Where none has a score, the first that ran whole.

    Raises:
        ValueError: none ran whole.
    """
    whole = [place for place, one in enumerate(tried) if one.whole]
    if not whole:
        raise ValueError("no setting ran whole")
    best = max(whole, key=lambda place: (tried[place].score, -place))
    stopped = sum(one.stopped for one in tried)
    failed = sum(bool(one.error) for one in tried)
    score = tried[best].score
    told = f"validation {score:.4g}" if math.isfinite(score) else "no validation score is defined"
    return best, (
        f"{told}; the best of {len(whole)} that ran whole, {stopped} were stopped, {failed} failed"
    )


@dataclass(frozen=True)
class SweepGrid:
    """What a sweep asks for, with what its names stand for.

    Attributes:
        asked: Its requests, in order.
        bindings: What their names stand for.
    """

    asked: tuple[CellRequest, ...]
    bindings: Bindings

    @cached_property
    def searches(self) -> tuple[SearchPlan, ...]:
        """Every search the requests need, each once, in their order."""
        found = {plan.fingerprint: plan for plan in self._plans if plan is not None}
        return tuple(found.values())

    def cells(self, chosen: Mapping[str, AnyLearner]) -> tuple[Cell, ...]:
        """Return the cells whose settings are known.

        Args:
            chosen: Search -> the settings it chose; cells of other searches are left out.
        """
        return tuple(
            bound(request, self.bindings, chosen[plan.fingerprint] if plan else None)
            for request, plan in zip(self.asked, self._plans, strict=True)
            if plan is None or plan.fingerprint in chosen
        )

    @cached_property
    def _plans(self) -> tuple[SearchPlan | None, ...]:
        return tuple(_plans(self.asked, self.bindings))


def _plans(asked: Sequence[CellRequest], bindings: Bindings) -> list[SearchPlan | None]:
    """Return the search of each request; its base is the first seed of the same group."""
    groups: dict[tuple[object, ...], SearchPlan] = {}
    found: list[SearchPlan | None] = []
    for request in asked:
        if request.search is None:
            found.append(None)
            continue
        key = search_key(request)
        if key not in groups:
            groups[key] = SearchPlan(request.search, bound(request, bindings))
        found.append(groups[key])
    return found


def search_key(request: CellRequest) -> tuple[object, ...]:
    """Return what the requests that share a search have in common: everything but the seed."""
    model = (request.vocabulary, request.initial)
    return (request.arm, request.task, *model, request.label_percent)
