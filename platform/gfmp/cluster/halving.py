"""Ray Tune's ASHA, one for each search: settings of different searches never meet in a bracket."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

EPOCH_EVENT = "search_epoch"
# ASHA interpolates between scores, which an infinity would turn into NaN.
_UNDEFINED = -sys.float_info.max / 4


@dataclass(frozen=True)
class Bracket:
    """The settings of one search that compete.

    Attributes:
        search: Fingerprint of the search.
        reduction_factor: 1 / this of the settings pass a rung.
        most_epochs: Epochs of the longest setting; rungs lie before it.
        past: Cell -> validation scores per epoch of settings that were tried before.
    """

    search: str
    reduction_factor: int
    most_epochs: int
    past: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


Stopped = Callable[[str, str, tuple[float, ...]], None]


def nothing_stopped(search: str, cell: str, scores: tuple[float, ...]) -> None:
    """Say that a trial was stopped where there is no bracket.

    Raises:
        AssertionError: always.
    """
    raise AssertionError(f"nothing competes, but {cell} was stopped in {search}")


@dataclass(frozen=True)
class _Known:
    """Stands for a trial of an earlier start of the sweep; ASHA asks for no more than its id."""

    trial_id: str


def scheduler(brackets: tuple[Bracket, ...], stopped: Stopped) -> Any:  # noqa: ANN401 - Ray is untyped
    """Return a scheduler of Ray Tune that stops the worse settings inside each bracket.

    Trials that report no epochs run in the order in which they came, to their end.

    Args:
        brackets: One for each search.
        stopped: Told (search, cell, validation score after each epoch) of each trial it stops.
    """
    from ray.tune.schedulers import FIFOScheduler

    halvings = _Halvings(brackets, stopped)

    class _ByBracket(FIFOScheduler):
        """Asks the ASHA of the trial's own search."""

        def on_trial_result(self, tune_controller: object, trial: Any, result: Any) -> str:  # noqa: ANN401 - Ray is untyped
            """Say whether a trial goes on after what it reported."""
            return halvings.decide(trial, result)

    return _ByBracket()


class _Halvings:
    """One ASHA for each search, and what its trials reported."""

    def __init__(self, brackets: tuple[Bracket, ...], stopped: Stopped) -> None:
        self._ashas = {bracket.search: _asha(bracket) for bracket in brackets}
        self._scores: dict[str, list[float]] = {}
        self._stopped = stopped

    def decide(self, trial: Any, result: Any) -> str:  # noqa: ANN401 - Ray is untyped
        """Return the words of Ray Tune for what a trial does next; results come flattened."""
        from ray.tune.schedulers import TrialScheduler

        if result.get("kind") != EPOCH_EVENT:
            return str(TrialScheduler.CONTINUE)
        search, epochs = result["fields/search"], int(result["fields/epochs"])
        asha, known = self._ashas[search], self._scores.setdefault(trial.trial_id, [])
        if epochs == 1:
            known.clear()  # its worker died and it began anew
            asha.on_trial_add(None, trial)
        known.append(result["fields/score"])
        point = {"epochs": epochs, "score": _best(known)[-1]}
        decision = asha.on_trial_result(None, trial, point)
        if decision == TrialScheduler.STOP:
            self._stopped(search, result["fields/cell"], tuple(known))
        return str(decision)


def _asha(bracket: Bracket) -> Any:  # noqa: ANN401 - Ray is untyped
    from ray.tune.schedulers import ASHAScheduler

    made = ASHAScheduler(
        time_attr="epochs",
        metric="score",
        mode="max",
        max_t=bracket.most_epochs,
        grace_period=1,
        reduction_factor=bracket.reduction_factor,
    )
    for cell, known in bracket.past.items():
        past = _Known(cell)
        made.on_trial_add(None, past)
        for epochs, best in enumerate(_best(known)[: bracket.most_epochs - 1], start=1):
            made.on_trial_result(None, past, {"epochs": epochs, "score": best})
    return made


def _best(scores: list[float] | tuple[float, ...]) -> list[float]:
    """Return the best score up to each epoch, which is the one a cell keeps."""
    return [max(score, _UNDEFINED) for score in accumulate(scores, max)]
