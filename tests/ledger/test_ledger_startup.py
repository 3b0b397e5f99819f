"""The phases of a start are read off the ledger, of the newest start only."""

from __future__ import annotations

from pathlib import Path

import pytest

from gfmp.ledger.events import Event
from gfmp.ledger.startup import KIND, Mark, Phase, startup_fields, startup_phases
from gfmp.ledger.writer import LedgerWriter


def event(sequence: int, writer: str, kind: str, fields: dict[str, object]) -> Event:
    return Event(sequence, float(sequence), 0, writer, kind, fields)


DRIVER = startup_fields(100.0, [Mark("plan", 102.0, 1.5), Mark("ray", 105.0, 2.0)])
RANK = startup_fields(107.0, [Mark("import", 110.0, 3.0), Mark("first step", 111.0, 3.5)])
STARTED = event(0, "driver", "started", {"segment": 0})
TOLD = [event(1, "driver", KIND, DRIVER), event(2, "rank0", KIND, RANK)]
PHASES = (("plan", 2.0, 1.5), ("ray", 3.0, 0.5), ("import", 3.0, 3.0), ("first step", 1.0, 0.5))


def as_rows(phases: tuple[Phase, ...]) -> list[tuple[str, float, float]]:
    return [(phase.name, phase.seconds, phase.cpu_seconds) for phase in phases]


def test_phases_follow_each_other_from_the_command_to_the_first_step() -> None:
    phases = startup_phases([STARTED, *TOLD])
    assert as_rows(phases[:2] + phases[3:]) == list(PHASES)
    assert phases[2].seconds == 2.0  # from the driver's last mark to the process of rank 0
    assert sum(phase.seconds for phase in phases) == 111.0 - 100.0


def test_there_are_none_before_the_first_step() -> None:
    assert startup_phases([]) == ()
    assert startup_phases([STARTED, TOLD[0]]) == ()


def test_another_start_forgets_the_one_before() -> None:
    assert startup_phases([STARTED, *TOLD, STARTED]) == ()
    assert startup_phases([STARTED, *TOLD, STARTED, *TOLD])[0].name == "plan"


def test_groups_that_are_started_again_do_not_count() -> None:
    late = event(3, "rank0", KIND, startup_fields(500.0, [Mark("import", 600.0, 1.0)]))
    assert startup_phases([STARTED, *TOLD, late]) == startup_phases([STARTED, *TOLD])


@pytest.mark.parametrize("fields", [DRIVER, RANK])
def test_the_ledger_keeps_them(tmp_path: Path, fields: dict[str, object]) -> None:
    with LedgerWriter(tmp_path / "000-driver.jsonl") as writer:
        assert dict(writer.append(KIND, fields).fields) == fields
