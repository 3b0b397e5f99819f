"""How `gfmp` ends: one status for each kind of end, and a trace only for bugs."""

from __future__ import annotations

import errno
import re
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

import gfmp.errors
from gfmp import __version__
from gfmp.cli import main as program
from gfmp.errors import GfmpError, Problem

KINDS = [
    kind
    for kind in vars(gfmp.errors).values()
    if isinstance(kind, type) and issubclass(kind, GfmpError)
]


def _end(monkeypatch: pytest.MonkeyPatch, fault: BaseException | None) -> int:
    """Run `gfmp falls`, a command that ends with `fault`, and return the exit status."""

    @click.command()
    def falls() -> None:
        if fault is not None:
            raise fault

    monkeypatch.setitem(program.gfmp.commands, "falls", falls)
    monkeypatch.setattr(sys, "argv", ["gfmp", "falls"])
    with pytest.raises(SystemExit) as caught:
        program.main()
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_a_command_that_works_ends_with_nothing_to_say(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _end(monkeypatch, None) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_ends_with_its_own_status_and_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: type[GfmpError]
) -> None:
    fault = kind.of([Problem("first", "a:1", "rule", "remedy"), Problem("second")])
    assert _end(monkeypatch, fault) == kind.exit_status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count(f"error[GFMP-{kind.code}]: ") == 2
    assert "Traceback" not in err


def test_codes_are_unique_and_statuses_are_never_those_of_bugs() -> None:
    codes = [kind.code for kind in KINDS]
    assert len(set(codes)) == len(codes)
    assert all(kind.exit_status not in (0, 1, 134) for kind in KINDS)


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (KeyboardInterrupt(), 130),
        (click.exceptions.Abort(), 130),
        (BrokenPipeError(errno.EPIPE, "nobody reads"), 141),
        (SystemExit(signal.SIGTERM), 143),  # what Ray makes of SIGTERM while a corpus is built
        (click.UsageError("no such thing"), 2),
        (click.BadParameter("not that"), 2),
        (click.exceptions.Exit(5), 5),
    ],
)
def test_other_ends(monkeypatch: pytest.MonkeyPatch, fault: BaseException, status: int) -> None:
    assert _end(monkeypatch, fault) == status


def test_a_bug_says_so_and_keeps_the_trace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _end(monkeypatch, ZeroDivisionError("half of nothing")) == 70
    err = capsys.readouterr().err
    assert err.startswith("error[GFMP-X000]: ZeroDivisionError: half of nothing\n")
    assert "this is a bug in gfmp" in err
    assert "Traceback" not in err
    found = re.search(r"--> (\S+\.log)", err)
    assert found
    trace = Path(found[1])
    text = trace.read_text()
    trace.unlink()
    assert "Traceback" in text
    assert "in falls" in text


def test_an_exit_that_nobody_asked_for_is_a_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _end(monkeypatch, SystemExit(1)) == 70
    err = capsys.readouterr().err
    assert "this is a bug in gfmp" in err
    Path(re.findall(r"--> (\S+)", err)[0]).unlink()


def test_a_trace_holds_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fault = ValueError("cannot reach https://me:hunter2@mlflow.example.org")
    assert _end(monkeypatch, fault) == 70
    trace = Path(re.findall(r"--> (\S+)", capsys.readouterr().err)[0])
    text = trace.read_text()
    trace.unlink()
    assert "ValueError" in text
    assert "hunter2" not in text


def test_a_bug_without_words_still_has_a_first_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _end(monkeypatch, AssertionError()) == 70
    err = capsys.readouterr().err
    assert err.startswith("error[GFMP-X000]: AssertionError\n")
    Path(re.findall(r"--> (\S+)", err)[0]).unlink()


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("-h",), ("vocab", "--help")])
def test_asking_for_help_is_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gfmp", *arguments])
    with pytest.raises(SystemExit) as caught:
        program.main()
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert (__version__ if arguments == ("--version",) else "Usage: ") in out
    assert all(len(line) <= 80 for line in out.splitlines())


def test_a_closed_pipe_is_not_a_bug(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("gfmp")), "vocab", "list"]
    with subprocess.Popen(
        [*command, "--workspace", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.close()
        status = process.wait(timeout=60)
        assert process.stderr
        err = process.stderr.read().decode()
    assert "bug in gfmp" not in err
    assert "Traceback" not in err
    assert status == 141, err
