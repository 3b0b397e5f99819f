"""A ledger is read whole whatever happened to its writers, and as it grows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.errors import CorruptArtefactError
from gfmp.ledger.events import Event, encode
from gfmp.ledger.reader import Follower, follow, merged, read_ledger
from gfmp.ledger.writer import LedgerWriter


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "000-rank0.jsonl"
    with LedgerWriter(path) as writer:
        for step in range(1, 6):
            writer.append("step", {"step": step})
    return path


def test_every_cut_of_a_file_reads_as_whole_events_and_one_torn_line(file: Path) -> None:
    data = file.read_bytes()
    ends = [i + 1 for i, byte in enumerate(data) if byte == ord("\n")]
    for cut in range(len(data) + 1):
        file.write_bytes(data[:cut])
        contents = read_ledger(file.parent)
        whole = [end for end in ends if end <= cut]
        assert len(contents.events) == len(whole)
        assert bool(contents.torn) == (cut > (whole[-1] if whole else 0))


def test_a_torn_line_is_reported_with_its_place(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\0" * 20)
    (problem,) = read_ledger(file.parent).torn
    assert problem.where == f"{file}:6"
    assert "20 bytes" in problem.message


@pytest.mark.parametrize("line", [b"rubbish\n", b"\n", b""])
def test_a_broken_or_missing_line_in_the_middle_is_an_error(file: Path, line: bytes) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:2], line, *lines[3:]]))
    with pytest.raises(CorruptArtefactError) as caught:
        read_ledger(file.parent)
    assert caught.value.problems[0].where == f"{file}:3"
    assert caught.value.exit_status == 65


def test_a_file_under_the_name_of_another_is_an_error(file: Path) -> None:
    file.rename(file.with_name("001-rank0.jsonl"))
    with pytest.raises(CorruptArtefactError, match="line 1"):
        read_ledger(file.parent)


TIMES = st.lists(st.floats(0, 1e6), min_size=1, max_size=6)


@settings(deadline=None, max_examples=60)
@given(TIMES, TIMES)
def test_merging_never_reorders_one_writer(driver: list[float], rank0: list[float]) -> None:
    streams = {"driver": driver, "rank0": rank0}
    events = [
        Event(i % 3, time, i // 3, writer, "step", {})
        for writer, times in streams.items()
        for i, time in enumerate(times)
    ]
    result = merged(reversed(events))
    assert len(result) == len(events)
    for writer in streams:
        order = [(e.segment, e.sequence) for e in result if e.writer == writer]
        assert order == sorted(order)


def test_writers_interleave_by_time() -> None:
    events = [Event(0, 1.0, 0, "driver", "started", {}), Event(0, 2.0, 0, "rank0", "step", {})]
    last = Event(1, 9.0, 0, "driver", "finished", {})
    later = Event(0, 5.0, 1, "rank0", "resumed", {})
    kinds = [event.kind for event in merged([last, later, *events])]
    assert kinds == ["started", "step", "resumed", "finished"]


def test_a_follower_sees_each_event_once_and_waits_for_whole_lines(tmp_path: Path) -> None:
    follower = Follower(tmp_path / "ledger")
    assert follower.poll() == ()
    path = tmp_path / "ledger" / "000-driver.jsonl"
    with LedgerWriter(path) as writer:
        first = writer.append("started", {})
        assert follower.poll() == (first,)
        assert follower.poll() == ()
    second = encode(Event(1, 5.0, 0, "driver", "finished", {}))
    with path.open("ab") as handle:
        handle.write(second[:10])
    assert follower.poll() == ()
    with path.open("ab") as handle:
        handle.write(second[10:])
    other = LedgerWriter(path.with_name("001-driver.jsonl")).append("started", {})
    assert [event.kind for event in follower.poll()] == ["finished", "started"]
    assert follower.poll() == ()
    assert other.segment == 1


def test_following_yields_what_is_left_when_it_is_stopped(tmp_path: Path) -> None:
    stop = threading.Event()
    events: Iterator[Event] = follow(tmp_path, stop, interval_seconds=0.01)
    with LedgerWriter(tmp_path / "000-driver.jsonl") as writer:
        writer.append("started", {})
        assert next(events).kind == "started"
        writer.append("finished", {})
        stop.set()
    assert [event.kind for event in events] == ["finished"]
