"""One file has one writer, and a failed append leaves no trace."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gfmp.errors import LockedError
from gfmp.ledger.reader import Cursor, read_file
from gfmp.ledger.writer import LedgerFile, LedgerWriter, ledger_files, next_segment

SOURCE = Path(__file__).parents[2] / "platform"
FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from gfmp.errors import StorageError
from gfmp.ledger.writer import LedgerWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer = LedgerWriter(Path(sys.argv[1]))
writer.append("step", {"step": 1})
resource.setrlimit(resource.RLIMIT_FSIZE, (200, resource.RLIM_INFINITY))
try:
    writer.append("step", {"step": 2, "note": "x" * 300})
except StorageError as error:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    writer.append("failed", {"code": error.code})
    writer.close()
"""


def test_events_are_numbered_and_readable_as_soon_as_append_returns(tmp_path: Path) -> None:
    path = tmp_path / "ledger" / "002-rank0.jsonl"
    times = iter([10.0, 11.0])
    with LedgerWriter(path, clock=lambda: next(times)) as writer:
        first = writer.append("step", {"step": 1})
        assert read_file(LedgerFile.of(path), Cursor()).events == (first,)
        second = writer.append("step", {"step": 2})
    assert (first.sequence, second.sequence) == (0, 1)
    assert (second.segment, second.writer, second.time) == (2, "rank0", 11.0)
    assert writer.segment == 2


def test_a_second_writer_of_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "000-driver.jsonl"
    with LedgerWriter(path), pytest.raises(LockedError) as caught:
        LedgerWriter(path)
    assert caught.value.exit_status == 73
    assert caught.value.problems[0].where == str(path)


def test_a_name_that_says_no_writer_is_our_own_mistake(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="is not named"):
        LedgerWriter(tmp_path / "000-rank1.jsonl")


def test_a_full_disk_leaves_whole_lines_and_the_run_can_still_say_so(tmp_path: Path) -> None:
    path = tmp_path / "000-driver.jsonl"
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    subprocess.run([sys.executable, "-c", FULL_DISK, str(path)], env=environment, check=True)
    chunk = read_file(LedgerFile.of(path), Cursor())
    assert [event.kind for event in chunk.events] == ["step", "failed"]
    assert chunk.events[1].fields == {"code": "I074"}
    assert chunk.num_torn_bytes == 0


def test_commits_reach_the_disk_and_steps_do_not_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    with LedgerWriter(tmp_path / "000-rank0.jsonl") as writer:
        monkeypatch.setattr(os, "fsync", synced.append)
        writer.append("step", {"step": 1})
        assert synced == []
        writer.append("checkpoint", {"step": 1})
        assert len(synced) == 1


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    writer = LedgerWriter(tmp_path / "000-rank0.jsonl")
    writer.close()
    writer.close()


def test_segments_follow_the_starts_of_driver_and_workers(tmp_path: Path) -> None:
    # one driver whose workers restart, then a resume by another driver
    opened = []
    for writer in ("driver", "rank0", "rank0", "driver", "rank0"):
        segment = next_segment(tmp_path, writer)
        LedgerWriter(tmp_path / f"{segment:03d}-{writer}.jsonl").close()
        opened.append((writer, segment))
    assert opened == [("driver", 0), ("rank0", 0), ("rank0", 1), ("driver", 2), ("rank0", 2)]


def test_other_files_in_the_folder_are_not_ledger_files(tmp_path: Path) -> None:
    for name in ("000-driver.jsonl", "000-driver.jsonl~", "notes.txt", "0-driver.jsonl"):
        (tmp_path / name).touch()
    assert [file.path.name for file in ledger_files(tmp_path)] == ["000-driver.jsonl"]
    assert ledger_files(tmp_path / "absent") == ()
