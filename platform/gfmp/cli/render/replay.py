"""What was computed again beside what was recorded, and what was found to be whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gfmp.cli.render.text import as_json, counted, echo, table
from gfmp.cluster.reproduce import Compared
from gfmp.cluster.verify import Verified
from gfmp.errors import TrainingError
from gfmp.training.replay import Replayed

_MOST_ROWS = 12


def show_replayed(dump: Path, replayed: Replayed) -> None:
    """Print the recorded and the repeated numbers of a step.

    Raises:
        TrainingError: they differ.
    """
    incident = replayed.incident
    echo(f"step {incident.step + 1}: {'; '.join(incident.messages)}")
    rows = [
        (f"nats of rank {rank}", f"{sum(share.nats):.6g}", f"{sum(again):.6g}")
        for rank, (share, again) in enumerate(zip(incident.shares, replayed.nats, strict=True))
    ]
    rows.append(("gradient norm", f"{incident.gradient_norm:.6g}", f"{replayed.gradient_norm:.6g}"))
    table(("NUMBER", "RECORDED", "AGAIN"), rows)
    for row in replayed.bad_rows[:_MOST_ROWS]:
        echo(f"sample {row.sample} ({row.vocabulary}, rank {row.rank}) alone: {row.nats:.6g}")
    hidden = len(replayed.bad_rows) - _MOST_ROWS
    if hidden > 0:
        echo(f"... and {counted(hidden, 'more sample')}")
    if not replayed.reproduced:
        raise TrainingError(
            "not reproduced: the same weights and batches give other numbers here",
            where=str(dump),
            why="so they are not at fault, but the memory or processor that computed the step",
            fix="resume the run; if it happens again on the same machine, take that one out",
        )
    echo("reproduced: weights and data give the same numbers again, so the fault is in them")


def show_reproduced(compared: Compared) -> None:
    """Print how a repeated run compares.

    Raises:
        TrainingError: a hash or a number differs.
    """
    if compared.differences:
        raise TrainingError(
            f"{counted(len(compared.differences), 'difference')} between {compared.old} and"
            f" {compared.new}: {'; '.join(compared.differences[:_MOST_ROWS])}",
            where=compared.new,
            why="what else differs: " + ("; ".join(compared.surroundings) or "nothing on record"),
            fix="repeat it with the code and libraries that `gfmp runs show` names",
        )
    echo(f"{compared.new} equals {compared.old}: weights, order of samples and report, to the bit")
    echo(f"({counted(compared.num_equal, 'value')} compared)")
    for line in compared.surroundings:
        echo(f"although it differs in {line}")


def show_verified(found: Sequence[Verified], json: bool) -> None:
    """Print what was compared, one line each."""
    if json:
        as_json(
            [
                {
                    "name": one.name,
                    "checked": list(one.checked),
                    "problems": [problem.message for problem in one.problems],
                }
                for one in found
            ]
        )
        return
    for one in found:
        echo(f"{one.name}: {counted(len(one.problems), 'problem') if one.problems else 'whole'}")
        for line in one.checked:
            echo(f"  {line}")
