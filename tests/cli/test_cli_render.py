"""What the command line prints: fits the page, hides nothing, survives its own edge cases."""

from __future__ import annotations

import pytest

from gfmp.cli.render.errors import show_error
from gfmp.cli.render.goodput import goodput_lines
from gfmp.cli.render.report import report_lines
from gfmp.cli.render.runs import event_line, step_line
from gfmp.cli.render.text import duration, number, table, wrapped
from gfmp.errors import Problem, SpecError
from gfmp.ledger.events import Event


def report(upper: float) -> dict[str, object]:
    numbers = {"hidden_bases": 75291, "targets": 14764, "windows": 297, "accuracy": 0.011}
    for pair in ("loss unigram_loss", "bits_per_base order0_bits", "bits_per_base order5_bits"):
        numbers |= dict.fromkeys(pair.split(), 1.9876)
    for gap in ("loss_minus_unigram", "bits_minus_order0", "bits_minus_order5"):
        numbers |= {gap: -0.1, f"{gap}/low": -0.2, f"{gap}/high": upper}
    name = "bpe4096 bits per base < order 0"
    check = {"name": name, "value": 1.9, "baseline": 2.0, "low": -0.2, "high": upper}
    flat = {f"report/bpe4096/{key}": value for key, value in numbers.items()}
    return {"step": 9, **flat, "checks": [check | {"passed": upper < 0}]}


@pytest.mark.parametrize(("upper", "verdict"), [(-0.01, "ok"), (0.01, "FAIL")])
def test_a_report_fits_the_page_and_says_its_verdict(upper: float, verdict: str) -> None:
    lines = list(report_lines(report(upper)))
    assert max(map(len, lines)) <= 80
    assert "75,291 hidden bases" in lines[1]
    assert f"[-0.200, {upper:+.3f}]" in lines[2]
    assert lines[-1].split()[0] == verdict


def test_live_lines_name_every_vocabulary() -> None:
    fields = {"step": 3, "loss": 7.5, "loss/kmer6": 7.0, "tokens_per_second": 12345.6}
    assert step_line(Event(0, 0.0, 0, "rank0", "step", fields)) == (
        "loss 7.5000  kmer6 7.000  12,346 tok/s"
    )
    rejected = {"path": "step-000000009", "reason": "a hash differs"}
    line = event_line(Event(0, 0.0, 0, "rank0", "checkpoint_rejected", rejected))
    assert line == "checkpoint step-000000009 rejected: a hash differs"
    assert event_line(Event(0, 0.0, 0, "rank0", "outcome", {})) == ""


RESTARTED = {
    "segment": 0,
    "cause": "killed",
    "rank": 1,
    "pid": 77,
    "signal": "SIGKILL",
    "step": 8,
    "delay_seconds": 2.0,
    "detail": "its process ended by SIGKILL",
}


def test_a_restart_says_whose_fault_it_was_and_when_it_goes_on() -> None:
    assert event_line(Event(0, 0.0, 0, "driver", "restarted", RESTARTED)) == (
        "rank 1 (pid 77) killed by SIGKILL after step 8: its process ended by SIGKILL;"
        " the workers start again in 2 s"
    )
    nobody = {**RESTARTED, "cause": "ray", "rank": None, "pid": None, "signal": ""}
    line = event_line(Event(0, 0.0, 0, "driver", "restarted", nobody))
    assert line.startswith("worker group ray after step 8: ")


def test_the_time_of_a_run_is_told_in_three_lines() -> None:
    def _at(time: float, kind: str, **fields: object) -> Event:
        writer = "driver" if kind in ("started", "restarted", "finished") else "rank0"
        return Event(0, time, 0, writer, kind, fields)

    step = {"step": 1, "seconds": 50.0, "tokens": 1000}
    events = [
        _at(0.0, "started"),
        _at(60.0, "step", **step),
        _at(62.0, "checkpoint", step=1, seconds=2.0),
        _at(100.0, "finished"),
    ]
    assert list(goodput_lines(events)) == [
        "ETTR 50.0% of 1 min 40 s: productive 50.0 s, start-up 10.0 s, checkpoint 2.0 s, "
        "recompute 0.0 s, stall 38.0 s",
        "goodput 10 tokens a second of that time, with 0 failures",
        "a commit takes 2.00 s: every 1 step costs 3.9%, checkpoint.every_steps=12 would cost 0.7%"
        " (a failure every 1 d, assumed)",
    ]
    assert list(goodput_lines(events[:1])) == []


def test_an_error_is_read_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    problems = [
        Problem(f"message {i} " + "word " * 30, "f:1:2", "a rule", "a fix") for i in range(15)
    ]
    show_error(SpecError.of(problems))
    text = capsys.readouterr().err
    assert text.startswith("error[GFMP-C078]: message 0 word")
    assert text.index("--> f:1:2") < text.index("why: a rule") < text.index("fix: a fix")
    assert "... and 3 more\n" in text
    assert max(map(len, text.splitlines())) <= 80


def test_numbers_and_durations() -> None:
    assert [number(v) for v in (1234567, 0.00012345, 45678.9, "x")] == [
        "1,234,567", "0.0001234", "45,679", "x",
    ]  # fmt: skip
    assert [duration(s) for s in (0, 59.6, 425, 90061)] == ["0 s", "1 min", "7 min 5 s", "1 d 1 h"]


def test_tables_align_numbers_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    table(("NAME", "ROWS"), [("a", "1,000"), ("bb", "20")])
    assert capsys.readouterr().out.splitlines() == ["NAME   ROWS", "a     1,000", "bb       20"]
    assert wrapped("word " * 30, 4).splitlines()[1].startswith("    word")
    command = "tool --option " + "path/" * 20 + " and more words"
    assert wrapped(f"Type:\n{command}", 2) == f"Type:\n  {command}"


def test_a_table_wider_than_the_page_is_printed_in_parts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    headings = ("A", "B", *(f"COLUMN {i}" for i in range(12)))
    rows = [("one", "x", *"abcdefghijkl"), ("two", "y", *"ABCDEFGHIJKL")]
    table(headings, rows, keys=2)
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    parts = "\n".join(lines).split("\n\n")
    assert len(parts) == 2
    assert all(part.splitlines()[1].split()[:2] == ["one", "x"] for part in parts)
    assert all(part.splitlines()[2].split()[:2] == ["two", "y"] for part in parts)
    shown = [heading for part in parts for heading in part.splitlines()[0].split("COLUMN ")[1:]]
    assert [int(heading) for heading in shown] == list(range(12)), "every column, once"


def test_a_table_moves_together_before_it_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    table(("A" * 26, "B" * 26, "C" * 26), [("a", "b", "c")])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and len(lines[0]) == 80
