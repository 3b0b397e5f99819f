"""Where the time of a run went, and how often it should commit, in lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gfmp.cli.render.text import counted, duration
from gfmp.ledger.events import Event
from gfmp.ledger.goodput import Goodput, IntervalAdvice, goodput, interval_advice


def goodput_lines(events: Sequence[Event]) -> Iterator[str]:
    """Yield the split of a training run's time; nothing before its first step."""
    measured = goodput(events)
    if not measured.tokens:
        return
    yield f"ETTR {measured.ettr:.1%} of {_seconds(measured.wall_seconds)}: {_shares(measured)}"
    yield (
        f"goodput {measured.tokens_per_second:,.0f} tokens a second of that time, with "
        f"{counted(measured.failures, 'failure')}"
    )
    advice = interval_advice(events)
    if advice is not None:
        yield _advice(advice)


def _shares(measured: Goodput) -> str:
    shares = (
        ("productive", measured.productive_seconds),
        ("start-up", measured.startup_seconds),
        ("checkpoint", measured.checkpoint_seconds),
        ("recompute", measured.recompute_seconds),
        ("stall", measured.stall_seconds),
    )
    return ", ".join(f"{name} {_seconds(seconds)}" for name, seconds in shares)


def _advice(advice: IntervalAdvice) -> str:
    basis = "measured" if advice.measured else "assumed"
    between = _seconds(advice.between_failures_seconds)
    return (
        f"a commit takes {advice.save_seconds:.2f} s: every {counted(advice.present_steps, 'step')}"
        f" costs {advice.cost_fraction(advice.present_steps):.1%}, checkpoint.every_steps="
        f"{advice.every_steps} would cost {advice.cost_fraction(advice.every_steps):.1%}"
        f" (a failure every {between}, {basis})"
    )


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60.0 else duration(seconds)


def restarted_line(event: Event) -> str:
    """Return the line for a worker group that failed and is started again."""
    fields = event.fields
    who = "worker group" if fields["rank"] is None else f"rank {fields['rank']}"
    pid = "" if fields["pid"] is None else f" (pid {fields['pid']})"
    signal = f" by {fields['signal']}" if fields["signal"] else ""
    return (
        f"{who}{pid} {fields['cause']}{signal} after step {fields['step']}: {fields['detail']};"
        f" the workers start again in {fields['delay_seconds']:g} s"
    )
