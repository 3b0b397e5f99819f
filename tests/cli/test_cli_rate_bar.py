"""A bar on a terminal; elsewhere few lines, whose time the bar tells."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from gfmp.cli import rate_bar
from gfmp.cli.rate_bar import RateBar


def test_a_terminal_gets_a_bar_and_no_lines() -> None:
    out = io.StringIO()
    bar = RateBar(Console(file=out, force_terminal=True, width=80))
    assert not any(bar.show(done, 5_000, "7.0 /s", last=done == 5_000) for done in (0, 5_000))
    bar.close()
    bar.close()
    assert "7.0 /s" in out.getvalue() and "5,000/5,000" in out.getvalue()


def test_a_log_gets_a_line_now_and_then_and_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(rate_bar.time, "monotonic", lambda: now[0])
    out = io.StringIO()
    bar = RateBar(Console(file=out, force_terminal=False))
    told = []
    for done in range(26):
        told += [done] if bar.show(done, 25, "", last=done == 25) else []
        now[0] += 1.0
    assert told == [0, 10, 20, 25]
    bar.begin()
    assert not bar.show(1, 25, "")
    bar.close()
    assert not out.getvalue()
