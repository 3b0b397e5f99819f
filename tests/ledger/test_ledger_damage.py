"""Damage, refusals and deaths: a ledger reads whole, or says in which line it does not."""

from __future__ import annotations

import errno
import itertools
import math
import os
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.errors import CorruptArtefactError, LockedError, RefusedError, StorageError
from gfmp.ledger.events import Event
from gfmp.ledger.reader import Cursor, Follower, follow, merged, read_file, read_ledger
from gfmp.ledger.run import Run
from gfmp.ledger.writer import LedgerFile, LedgerWriter, ledger_files, next_segment

NUM_EVENTS = 3


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "000-rank0.jsonl"
    with LedgerWriter(path, clock=itertools.count(1.5).__next__) as writer:
        for step in range(1, NUM_EVENTS + 1):
            writer.append("step", {"step": step, "deep": [{"loss": math.nan}, [-math.inf]]})
    return path


def line_of(data: bytes, offset: int) -> int:
    return data.count(b"\n", 0, offset) + 1


@pytest.mark.parametrize("byte", [b"\n", b"\0", b"}", b'"'])
def test_one_wrong_byte_anywhere_never_loses_an_event_in_silence(file: Path, byte: bytes) -> None:
    """It is an error with its line, or the last line counts as torn."""
    data = file.read_bytes()
    good = read_ledger(file.parent).events
    for offset in range(len(data)):
        if data[offset : offset + 1] == byte:
            continue
        file.write_bytes(data[:offset] + byte + data[offset + 1 :])
        line = line_of(data, offset)
        try:
            contents = read_ledger(file.parent)
        except CorruptArtefactError as fault:
            assert fault.problems[0].where == f"{file}:{line}"
            assert f"line {line} " in fault.problems[0].message
            continue
        # without its end, the last line but one becomes part of a torn last line
        joined = offset == data[:-1].rindex(b"\n")
        assert len(contents.events) + len(contents.torn) == NUM_EVENTS - joined
        assert contents.torn, "the checksum of the line notices every change"
        assert line == NUM_EVENTS - joined
        assert contents.torn[0].where == f"{file}:{line}"
        others = [i for i in range(len(contents.events)) if i != line - 1]
        assert [repr(contents.events[i]) for i in others] == [repr(good[i]) for i in others]


@settings(deadline=None, max_examples=40)
@given(st.permutations(range(4)), st.integers(0, 4))
def test_lines_missing_doubled_or_out_of_order_are_noticed_where_they_begin(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], num_kept: int
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "000-driver.jsonl"
    with LedgerWriter(path) as writer:
        for _ in range(4):
            writer.append("step", {})
    lines = path.read_bytes().splitlines(keepends=True)
    kept = order[:num_kept]
    path.write_bytes(b"".join(lines[i] for i in kept))
    wrong = next((i for i, number in enumerate(kept) if number != i), None)
    if wrong is None:
        assert len(read_ledger(path.parent).events) == num_kept
    elif wrong == num_kept - 1:  # the last line is what a killed writer may leave
        contents = read_ledger(path.parent)
        assert len(contents.events) == wrong
        assert contents.torn[0].where == f"{path}:{wrong + 1}"
    else:
        with pytest.raises(CorruptArtefactError) as caught:
            read_ledger(path.parent)
        assert caught.value.problems[0].where == f"{path}:{wrong + 1}"


def test_each_file_tells_of_its_own_torn_line(file: Path) -> None:
    other = file.with_name("001-driver.jsonl")
    with LedgerWriter(other) as writer:
        writer.append("started", {})
    for path in (file, other):
        path.write_bytes(path.read_bytes()[:-1])
    torn = read_ledger(file.parent).torn
    assert [problem.where for problem in torn] == [f"{file}:{NUM_EVENTS}", f"{other}:1"]
    assert all("resumed run continues" in problem.fix for problem in torn)


def test_damage_behind_what_was_read_is_told_with_the_line_of_the_whole_file(file: Path) -> None:
    first = read_file(LedgerFile.of(file), Cursor())
    with file.open("ab") as handle:
        handle.write(b"rubbish\n{}\n")
    with pytest.raises(CorruptArtefactError) as caught:
        read_file(LedgerFile.of(file), first.cursor)
    assert caught.value.problems[0].where == f"{file}:{NUM_EVENTS + 1}"
    assert f"is not event {NUM_EVENTS}" in caught.value.problems[0].message


def refuse_at(patch: pytest.MonkeyPatch, name: str, number: int) -> None:
    def call(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    patch.setattr(os, name, call)


@pytest.mark.parametrize("kind", ["checkpoint", "finished", "report"])
def test_a_commit_that_cannot_be_made_durable_leaves_no_event(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "000-driver.jsonl"
    with LedgerWriter(path) as writer:
        writer.append("started", {})
        before = path.read_bytes()
        with pytest.MonkeyPatch.context() as patch, pytest.raises(StorageError) as caught:
            refuse_at(patch, "fsync", errno.EIO)
            writer.append(kind, {"step": 1})
        assert caught.value.problems[0].where == str(path)
        assert path.read_bytes() == before
        writer.append(kind, {"step": 1})
    assert [event.kind for event in read_ledger(tmp_path).events] == ["started", kind]


def test_a_line_is_whole_however_little_the_system_takes_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, sizes = os.write, itertools.cycle((1, 7, 2))
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, data[: next(sizes)]))
    with LedgerWriter(tmp_path / "000-driver.jsonl") as writer:
        written = [writer.append("step", {"step": i, "note": "x" * i}) for i in range(20)]
    assert list(read_ledger(tmp_path).events) == written


@pytest.mark.parametrize("num_taken", [0, 1, 40])
def test_a_write_that_breaks_off_leaves_the_file_as_it_was(tmp_path: Path, num_taken: int) -> None:
    path, real = tmp_path / "000-rank0.jsonl", os.write
    with LedgerWriter(path) as writer:
        writer.append("step", {"step": 1})
        left = [num_taken]

        def write(handle: int, data: bytes) -> int:
            if not left:
                raise OSError(errno.ENOSPC, "full")
            return real(handle, data[: left.pop()])

        with pytest.MonkeyPatch.context() as patch, pytest.raises(StorageError, match="No space"):
            patch.setattr(os, "write", write)
            writer.append("step", {"step": 2})
        writer.append("step", {"step": 3})
    contents = read_ledger(tmp_path)
    assert contents.torn == ()
    assert [(event.sequence, event.step) for event in contents.events] == [(0, 1), (1, 3)]


def test_what_json_cannot_say_takes_no_number(tmp_path: Path) -> None:
    with LedgerWriter(tmp_path / "000-rank0.jsonl") as writer:
        with pytest.raises(TypeError):
            writer.append("step", {"step": 1, "tensor": {1, 2}})
        assert writer.append("step", {"step": 1}).sequence == 0
    with pytest.raises(StorageError, match="Bad file descriptor"):
        writer.append("step", {"step": 2})
    assert len(read_ledger(tmp_path).events) == 1


def test_a_ledger_that_may_not_be_made_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_at(monkeypatch, "open", errno.EACCES)
    with pytest.raises(RefusedError) as caught:
        LedgerWriter(tmp_path / "000-rank0.jsonl")
    assert caught.value.problems[0].where == str(tmp_path / "000-rank0.jsonl")


def test_segments_beyond_a_thousand_keep_their_order(tmp_path: Path) -> None:
    for name in ("1000-rank0", "999-rank0", "1000-driver", "002-driver"):
        (tmp_path / f"{name}.jsonl").touch()
    order = [(file.segment, file.writer) for file in ledger_files(tmp_path)]
    assert order == [(2, "driver"), (999, "rank0"), (1000, "driver"), (1000, "rank0")]
    assert next_segment(tmp_path, "driver") == next_segment(tmp_path, "rank0") == 1001


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(["driver", "rank0"]), max_size=8))
def test_any_order_of_starts_gives_every_writer_a_file_of_its_own(
    tmp_path_factory: pytest.TempPathFactory, starts: list[str]
) -> None:
    folder, opened = tmp_path_factory.mktemp("ledger"), []
    for writer in starts:
        segment = next_segment(folder, writer)
        (folder / f"{segment:03d}-{writer}.jsonl").touch(exist_ok=False)
        opened.append((segment, writer))
    segments = [segment for segment, _ in opened]
    assert segments == sorted(segments)
    assert sorted(set(segments)) == list(range(len(set(segments))))
    assert [(file.segment, file.writer) for file in ledger_files(folder)] == sorted(opened)


def test_drivers_that_start_at_once_never_share_a_file(run: Run) -> None:
    barrier = threading.Barrier(6)

    def start(number: int) -> int:
        barrier.wait()
        try:
            with run.open_writer("driver") as writer:
                writer.append("started", {"number": number})
                return writer.segment
        except LockedError as fault:
            assert "already has its writer" in fault.problems[0].message
            return -1

    with ThreadPoolExecutor(6) as pool:
        segments = [s for s in pool.map(start, range(6)) if s >= 0]
    assert sorted(segments) == list(range(len(segments)))
    assert len(run.events("started")) == len(segments) >= 1


EVENTS = st.lists(
    st.tuples(st.sampled_from(["driver", "rank0"]), st.integers(0, 2), st.floats(0, 100)),
    max_size=12,
)


def numbered(raw: list[tuple[str, int, float]]) -> list[Event]:
    counts: dict[tuple[str, int], Iterator[int]] = {}
    events = []
    for writer, segment, time in raw:
        sequence = next(counts.setdefault((writer, segment), itertools.count()))
        events.append(Event(sequence, time, segment, writer, "step", {}))
    return events


@settings(deadline=None, max_examples=60)
@given(EVENTS, st.randoms(use_true_random=False))
def test_merging_does_not_depend_on_the_order_of_reading(
    raw: list[tuple[str, int, float]], random: object
) -> None:
    events = numbered(raw)
    shuffled = list(events)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # a random.Random
    assert merged(shuffled) == merged(events) == merged(merged(events))


@settings(deadline=None, max_examples=60)
@given(EVENTS)
def test_honest_clocks_are_believed(raw: list[tuple[str, int, float]]) -> None:
    events = numbered(sorted(raw, key=lambda item: (item[1], item[2])))
    honest = [
        Event(e.sequence, 1000.0 * e.segment + e.time, e.segment, e.writer, e.kind, e.fields)
        for e in events
    ]
    times = [event.time for event in merged(honest)]
    assert times == sorted(times)


@settings(deadline=None, max_examples=12)
@given(st.lists(st.integers(0, 400), max_size=8))
def test_however_a_file_grows_a_follower_sees_what_a_reader_sees(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    source, grown = (tmp_path_factory.mktemp(name) for name in ("source", "grown"))
    with LedgerWriter(source / "000-rank0.jsonl") as writer:
        written = [writer.append("step", {"step": i, "loss": 1 / i}) for i in range(1, 5)]
    data = (source / "000-rank0.jsonl").read_bytes()
    follower, seen, done = Follower(grown), [], 0
    for cut in [*sorted(cuts), len(data)]:
        with (grown / "000-rank0.jsonl").open("ab") as handle:
            handle.write(data[done : max(done, cut)])
        done = max(done, min(cut, len(data)))
        seen.extend(follower.poll())
        assert seen == written[: data.count(b"\n", 0, done)]
    assert seen == written


def test_following_ends_at_once_when_told_to_however_long_it_would_wait(tmp_path: Path) -> None:
    stop, ready = threading.Event(), threading.Event()

    def events() -> list[Event]:
        ready.set()
        return list(follow(tmp_path, stop, interval_seconds=3600.0))

    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(events)
        assert ready.wait(10)
        with LedgerWriter(tmp_path / "000-driver.jsonl") as writer:
            last = writer.append("finished", {})
        stop.set()
        assert following.result(10) == [last]


@pytest.mark.parametrize("reading", [lambda p: Follower(p).poll(), lambda p: read_ledger(p)])
def test_damage_is_the_same_error_for_every_reader(
    file: Path, reading: Callable[[Path], object]
) -> None:
    file.write_bytes(b"{}\n" + file.read_bytes())
    with pytest.raises(CorruptArtefactError, match=re.escape("line 1 is not event 0")) as caught:
        reading(file.parent)
    assert "checkpoints of the run are not affected" in caught.value.problems[0].fix
