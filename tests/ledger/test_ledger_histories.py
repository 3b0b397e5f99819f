"""Whole histories of runs against naive references; names, status and secrets as properties."""

from __future__ import annotations

import dataclasses
import itertools
import json
import multiprocessing
import string
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.errors import CorruptArtefactError, MissingInputError, UsageError
from gfmp.ledger.events import Event
from gfmp.ledger.header import NewRun, RunHeader, read_header
from gfmp.ledger.provenance import REDACTED, Git, Provenance, redacted, redacted_arguments
from gfmp.ledger.reader import Follower
from gfmp.ledger.run import Run
from gfmp.ledger.series import SeriesBook, numbers_of
from gfmp.ledger.store import RunStore
from gfmp.storage.atomic import write_json
from gfmp.storage.workspace import Workspace

SEGMENTS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(1, 7), st.sets(st.integers(1, 40), max_size=3)),
    min_size=1,
    max_size=5,
)
History = list[tuple[int, int, set[int]]]


def events_of(history: History) -> list[Event]:
    """Each segment goes back, computes forward, and evaluates some of its steps."""
    events: list[Event] = []
    reached = 0
    for segment, (back, forward, evaluated) in enumerate(history):
        start = max(0, reached - back)
        reached = start + forward
        events.append(event_of(segment, "resumed", start))
        for step in range(start + 1, reached + 1):
            events.append(event_of(segment, "step", step, loss=segment + step / 100))
            if step in evaluated:
                heldout = {"heldout/a/loss": float(segment), "seconds": 1.0}
                events.append(event_of(segment, "evaluation", step, **heldout))
    return events


def event_of(segment: int, kind: str, step: int, **fields: float) -> Event:
    return Event(0, 0.0, segment, "rank0", kind, {"step": step, **fields})


def naive(events: list[Event]) -> dict[str, dict[int, float]]:
    """A number counts unless a later segment began at or before its step."""
    starts = {event.segment: event.step + 1 for event in events if event.kind == "resumed"}
    curves: dict[str, dict[int, float]] = {}
    for event in events:
        later = (start for segment, start in starts.items() if segment > event.segment)
        if event.kind != "resumed" and all(start > event.step for start in later):
            for name, value in numbers_of(event).items():
                curves.setdefault(name, {})[event.step] = value
    return curves


def curves_of(book: SeriesBook) -> dict[str, dict[int, float]]:
    return {name: {p.step: p.value for p in points} for name, points in book.curves().items()}


def book_of(events: list[Event]) -> SeriesBook:
    book = SeriesBook()
    book.add(events)
    return book


@settings(deadline=None, max_examples=80)
@given(SEGMENTS)
def test_curves_equal_a_naive_recomputation(history: History) -> None:
    events = events_of(history)
    book = book_of(events)
    assert curves_of(book) == naive(events)
    for points in book.curves().values():
        assert [p.step for p in points] == sorted({p.step for p in points})
    computed: dict[int, set[int]] = {}
    for event in events:
        computed.setdefault(event.step, set()).add(event.segment if event.kind == "step" else -1)
    twice = {step for step, segments in computed.items() if len(segments - {-1}) > 1}
    assert twice <= set(book.recomputed)
    assert len(book.restarts) == len(history) - 1


@settings(deadline=None, max_examples=60)
@given(SEGMENTS, st.lists(st.integers(0, 60), max_size=5))
def test_curves_do_not_depend_on_how_events_arrive(history: History, cuts: list[int]) -> None:
    events = events_of(history)
    book = SeriesBook()
    for low, high in itertools.pairwise([0, *sorted(cuts), len(events)]):
        book.add(events[low : max(low, high)])
    assert curves_of(book) == curves_of(book_of(events))
    assert book.recomputed == book_of(events).recomputed


@settings(deadline=None, max_examples=60)
@given(SEGMENTS, st.integers(2, 5))
def test_a_thinned_book_is_the_full_book_thinned(history: History, stride: int) -> None:
    events = events_of(history)
    thin = SeriesBook(keep=lambda step: step % stride == 0)
    thin.add(events)
    expected = naive(events)
    kept = {step: value for step, value in expected.pop("loss").items() if step % stride == 0}
    assert curves_of(thin) == expected | ({"loss": kept} if kept else {})


@settings(deadline=None, max_examples=60)
@given(SEGMENTS, st.data())
def test_late_words_of_a_dead_segment_count_only_before_the_restart(
    history: History, data: st.DataObject
) -> None:
    """The file of a worker that was cut off may be read after that of its successor began."""
    events = events_of(history)
    late = [e for e in events if e.segment == 0 and e.kind != "resumed"]
    num_late = data.draw(st.integers(0, len(late)))
    held_back = late[len(late) - num_late :]
    early = [e for e in events if all(e is not other for other in held_back)]
    # of what survives each step has one segment, so that the order cannot matter
    assert curves_of(book_of(early + held_back)) == naive(events)


@settings(deadline=None, max_examples=8)
@given(SEGMENTS)
def test_a_ledger_on_disk_followed_or_read_gives_the_same_curves(
    tmp_path_factory: pytest.TempPathFactory, history: History
) -> None:
    run = bare_run(tmp_path_factory.mktemp("runs") / "demo")
    followed, follower = SeriesBook(), Follower(run.ledger_path)
    events = events_of(history)
    for _, segment in itertools.groupby(events, key=lambda e: e.segment):
        with run.open_writer("rank0") as rank0:
            for i, event in enumerate(segment):
                rank0.append(event.kind, event.fields)
                if i % 5 == 0:
                    followed.add(follower.poll())
    followed.add(follower.poll())
    assert curves_of(run.book()) == curves_of(followed) == naive(events)
    assert run.last_step() == max(e.step for e in events if e.segment == len(history) - 1)
    assert len(run.evaluations()) == sum(event.kind == "evaluation" for event in events)


PROVENANCE = Provenance(Git("unknown", "unknown"), "3.11", "Linux", {}, "unknown", (), {})
HEADER = RunHeader(1, "demo", "demo", "pretrain", "2026-11-22T16:00:00+00:00", 7, "f", PROVENANCE)


def bare_run(path: Path) -> Run:
    write_json(path / "run.json", dataclasses.replace(HEADER, id=path.name).to_json())
    return Run.open(path)


@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, 2**63),
    st.lists(st.text(max_size=8), max_size=3),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
    st.sampled_from(["clean", "dirty", "unknown"]),
)
def test_a_header_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    command_line: list[str],
    words: dict[str, str],
    state: str,
) -> None:
    git = Git("3f9a", state)  # type: ignore[arg-type]  # one of the three words
    provenance = Provenance(git, "3.11", "Linux", words, "0" * 64, tuple(command_line), words)
    header = dataclasses.replace(HEADER, seed=seed, provenance=provenance)
    folder = tmp_path_factory.getbasetemp() / "demo"
    write_json(folder / "run.json", header.to_json())
    assert read_header(folder) == header


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 2}, "format version is 2"),
        ({"format_version": None}, "format version is None"),
        ({"id": "other"}, "it belongs to run 'other'"),
        ({"seed": "x"}, "seed: "),
        ({"provenance": {}}, "provenance.git: "),
        ({"provenance": {"git": {"revision": "x", "state": "filthy"}}}, "provenance.git.state: "),
    ],
)
def test_what_is_wrong_with_a_header_is_said(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    write_json(tmp_path / "demo" / "run.json", HEADER.to_json() | change)
    with pytest.raises(CorruptArtefactError) as caught:
        Run.open(tmp_path / "demo")
    problem = caught.value.problems[0]
    assert problem.message.startswith(message)
    assert problem.where == str(tmp_path / "demo" / "run.json")
    assert "format version 1" in problem.why


KINDS = (None, "started", "restarted", "finished", "failed", "interrupted")


@pytest.mark.parametrize("saved", ["nothing", "a word", "a checkpoint", "a rejected word"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("owned", [True, False])
def test_a_run_can_be_resumed_in_exactly_these_cases(
    tmp_path: Path, saved: str, kind: str | None, owned: bool
) -> None:
    run = bare_run(tmp_path / "demo")
    with run.open_writer("rank0") as rank0:
        if saved != "nothing":
            name = "checkpoint_rejected" if saved == "a rejected word" else "checkpoint"
            rank0.append(name, {"step": 5, "path": "checkpoints/step-5"})
        if saved in ("a checkpoint", "a rejected word"):
            (run.checkpoints_path / "step-5").mkdir(parents=True)
    with run.open_writer("driver") as driver:
        if kind is not None:
            driver.append(kind, {})
    over_or_dead = kind in ("failed", "interrupted") or (
        kind in ("started", "restarted") and not owned
    )
    expected = saved == "a checkpoint" and over_or_dead
    if owned:
        with run.own():
            assert run.resumable() == expected
    else:
        assert run.resumable() == expected


def test_of_many_who_ask_to_stop_one_was_the_first(run: Run) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: run.request_stop(), range(8)))
    assert sorted(answers) == [False] * 7 + [True]
    assert json.loads(run.stop_path.read_text())["time"] > 1.7e9
    assert not list(run.path.glob(".tmp-*"))


def _create(root: Path, new: NewRun, times: int) -> None:
    for _ in range(times):
        RunStore(Workspace(root)).create(new)


def test_processes_that_create_at_once_get_runs_of_their_own(
    workspace: Workspace, new_run: NewRun
) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_create, args=(workspace.root, new_run, 3)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    runs = RunStore(workspace).list()
    assert len({run.id for run in runs}) == 9
    assert all(run.spec_path.read_bytes() == new_run.spec for run in runs)
    assert RunStore(workspace).broken() == ()
    visible = [path for path in workspace.runs.iterdir() if path.name != ".lock"]
    assert len(visible) == 9


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.text("abc-", min_size=1, max_size=5).filter(lambda s: s[0] != "-"), unique=True),
    st.text("abc-", max_size=4),
)
def test_a_run_is_meant_by_its_id_or_the_only_beginning(
    tmp_path_factory: pytest.TempPathFactory, ids: list[str], wanted: str
) -> None:
    workspace = Workspace(tmp_path_factory.mktemp("workspace"))
    for name in ids:
        bare_run(workspace.runs / name)
    meant = [name for name in ids if wanted and name.startswith(wanted)]
    meant = [wanted] if wanted in ids else meant
    store = RunStore(workspace)
    if len(meant) == 1:
        assert store.get(wanted).id == meant[0]
        return
    with pytest.raises(UsageError if meant else MissingInputError) as caught:
        store.get(wanted)
    told = caught.value.problems[0].message if meant else caught.value.problems[0].why
    newest = sorted(meant or ids)[-5:]
    assert ", ".join(newest) in told
    assert ("more" in told) == (len(meant or ids) > 5)


SECRETS = st.text(string.ascii_letters + string.digits + "!$%^*()+-_.~/@:", min_size=4, max_size=16)
NAMES = st.sampled_from(
    ["token", "HF_TOKEN", "api-key", "apiKey", "password", "DB_PASSWD", "x.secret", "access_key"]
)


@settings(deadline=None, max_examples=80)
@given(SECRETS.map(lambda s: f"Zq{s}9"), NAMES)
def test_no_secret_survives_on_a_command_line(secret: str, name: str) -> None:
    arguments = (
        *(f"--{name}", secret),
        *(f"-{name}", f"{secret} {secret}"),
        f"--{name}={secret}",
        f"{name}={secret}, {secret} and {secret}",
        f"postgresql://me:{secret}@db/mlflow",
        f"https://{secret.translate(str.maketrans('', '', '/@:'))}@host/x",
        f"https://host/x?a=1&{name}={secret}&b=2",
        "--set",
        "steps=5",
    )
    kept = redacted_arguments(arguments)
    assert "Zq" not in " ".join(kept)
    assert len(kept) == len(arguments)
    assert kept[-2:] == ("--set", "steps=5")
    assert kept[0] == f"--{name}"
    assert kept[-3].endswith("&b=2")
    assert f"{REDACTED}@db/mlflow" in kept[6]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(max_size=30), max_size=5))
def test_redacting_twice_is_redacting_once(arguments: list[str]) -> None:
    once = redacted_arguments(arguments)
    assert redacted_arguments(once) == once
    assert all(redacted(text) == text for text in once)


@pytest.mark.parametrize(
    "text",
    [
        "tokenizer=bpe4096",
        "max_tokens=512",
        "batch_tokens: 4096",
        "https://host:8080/path?x=1",
        "git@host:group/project",
        "specs/corpora/demo.yaml",
        "--resume",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert redacted_arguments([text, "next"]) == (text, "next")
