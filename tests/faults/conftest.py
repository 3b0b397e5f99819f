"""Fixtures of the fault matrix and the table at the end of a session."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.terminal import TerminalReporter
from fault_project import Prepared, Project, make_project, prepare
from fault_rows import ROWS
from fault_seen import Seen, session_record
from fault_table import SKIPPED, TestRecord, as_text, by_row

_RECORDS: list[TestRecord] = []


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    """One clean run of the small job: a corpus, a vocabulary, hashes to compare with.

    Read it; never change it.
    """
    project = make_project(tmp_path_factory.mktemp("prepared"))
    try:
        yield prepare(project)
    finally:
        project.end_all()


@pytest.fixture
def fresh(prepared: Prepared, tmp_path: Path) -> Iterator[Project]:
    """A copy of the prepared project without its runs; its processes end with the test."""
    project = prepared.copy(tmp_path / "project")
    try:
        yield project
    finally:
        project.end_all()


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Project]:
    """The small project with nothing built, for tests that never start Ray."""
    project = make_project(tmp_path / "project")
    try:
        yield project
    finally:
        project.end_all()


@pytest.fixture
def seen(request: pytest.FixtureRequest) -> Iterator[Seen]:
    """Takes down what the test saw for the table; a test that passes without a word fails."""
    taken = Seen()
    yield taken
    request.node.user_properties.append(("fault", json.dumps(vars(taken))))
    if getattr(request.node, "call_passed", False):
        assert not taken.missing(), f"the test never said: {taken.missing()}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Tell the fixture `seen` whether the test passed, and every report which row it is of."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined] # a pluggy result
    marker = item.get_closest_marker("fault")
    report.fault_row = marker.args[0] if marker else None
    if report.when == "call":
        item.call_passed = report.passed  # type: ignore[attr-defined] # read by `seen`


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a mark that names no row, and a marked test that does not say what it saw."""
    for item in items:
        for marker in item.iter_markers("fault"):
            if len(marker.args) != 1 or marker.args[0] not in ROWS:
                raise pytest.UsageError(f"{item.nodeid}: no row {marker.args!r}")
            if "seen" not in getattr(item, "fixturenames", ()):
                raise pytest.UsageError(f"{item.nodeid}: a test of the matrix asks for `seen`")


_CALLS: dict[str, pytest.TestReport] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Gather one record a test: after its teardown, when `seen` has been written down."""
    row = getattr(report, "fault_row", None)
    if row is None:
        return
    if report.when != "teardown":
        # A skip or an error before the call counts as the call.
        _CALLS[report.nodeid] = report
        return
    call = _CALLS.pop(report.nodeid)
    told = json.loads(dict(report.user_properties).get("fault", "{}"))
    _RECORDS.append(
        TestRecord(
            row=row,
            test=report.nodeid,
            result=call.outcome if report.passed or call.outcome == SKIPPED else "failed",
            seconds=round(call.duration, 2),
            exits=tuple(told.get("exits", ())),
            outcomes=tuple(told.get("outcomes", ())),
            lost=told.get("losses", {}),
            reason=_reason(call),
        )
    )


def _reason(report: pytest.TestReport) -> str:
    if report.outcome == SKIPPED and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    return report.longreprtext.strip().splitlines()[-1][:200] if report.failed else ""


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """Print the table; write the session's record where `--fault-record` says."""
    if not _RECORDS:
        return
    results = by_row(_RECORDS)
    terminalreporter.section("fault matrix")
    for line in as_text(results):
        terminalreporter.write_line(line)
    target = config.getoption("--fault-record")
    if target:
        record = session_record(config.rootpath, _RECORDS)
        Path(target).write_text(json.dumps(record, indent=1) + "\n")
        terminalreporter.write_line(f"recorded in {target}")
