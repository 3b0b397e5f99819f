"""Runs: the list, one run in full, live lines and the end of a job."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console as RichConsole

from gfmp.cli.render.goodput import goodput_lines, restarted_line
from gfmp.cli.render.report import report_lines
from gfmp.cli.render.text import as_json, duration, echo, number, table
from gfmp.errors import Problem
from gfmp.ledger.events import Event
from gfmp.ledger.goodput import goodput
from gfmp.ledger.run import Run
from gfmp.ledger.submission import job_of
from gfmp.ledger.sweep import book_of
from gfmp.mlflow_store.mirror import Synced
from gfmp.mlflow_store.sweeps import CELL_KINDS
from gfmp.plan.lineage import parent_run

# Without it MLflow 3 opens on its pages for language-model traces, which are empty here.
_TRAINING_PAGE = "/#/experiments?workflowType=machine_learning"


def show_runs(runs: tuple[Run, ...], broken: tuple[Problem, ...], json: bool) -> None:
    """Print one line per run; runs that cannot be read are warned about on stderr."""
    for problem in broken:
        click.echo(f"warning: {problem.where}: {problem.message}", err=True)
    if json:
        as_json([_summary(run) for run in runs])
    elif not runs:
        echo("No runs yet. Start one: gfmp submit jobs/pretrain.yaml")
    else:
        rows = [
            (run.id, str(run.status()), _progress(run), run.header.created[:16]) for run in runs
        ]
        table(("RUN", "STATUS", "PROGRESS", "CREATED (UTC)"), rows)


def _progress(run: Run) -> str:
    if run.header.kind == "variant_effect":
        return f"{run.committed_step():,} shards"
    if run.header.kind == "motifs":
        return f"{(run.report() or {}).get('motifs', 0)} motifs"
    if run.header.kind not in CELL_KINDS:
        return f"step {run.last_step():,}"
    counts = book_of(run).progress().counts
    return f"{counts.done:,}/{counts.total:,} cells"


def _summary(run: Run) -> dict[str, object]:
    return {
        "id": run.id,
        "name": run.header.name,
        "kind": run.header.kind,
        "status": str(run.status()),
        "progress": _progress(run),
        "step": run.last_step(),
        "created": run.header.created,
        "what_fingerprint": run.header.what_fingerprint,
        "path": str(run.path),
    }


def show_run(run: Run, json: bool) -> None:
    """Print everything about one run."""
    report = run.report()
    if json:
        checkpoints = [dict(event.fields) for event in run.checkpoints()]
        as_json(
            _summary(run)
            | {
                "header": run.header.to_json(),
                "grown_from": parent_run(run.plan_json()),
                "job": job_of(run.path),
                "plan": run.plan_json(),
                "mixture": _mixture(run),
                "goodput": goodput(run.events()).numbers(),
                "checkpoints": checkpoints,
                "incidents": [dict(event.fields) for event in run.events("incident")],
                "report": report,
            }
        )
        return
    for name, value in _summary(run).items():
        echo(f"{name}: {value}")
    git = run.header.provenance.git
    if parent := parent_run(run.plan_json()):
        echo(f"grown from: {parent}")
    echo(f"code: git {git.revision[:12]} ({git.state})")
    if job := job_of(run.path):
        echo(f"job of the cluster: {job}")
    if shares := _mixture(run):
        parts = ", ".join(f"{name} {share:.1%}" for name, share in shares.items())
        echo(f"rows of the newest step: {parts}")
    for event in run.checkpoints()[-3:]:
        echo(f"checkpoint: step {event.step}, {number(_size(event))} bytes")
    for event in run.events("incident"):
        echo(event_line(event))
    for line in goodput_lines(run.events()):
        echo(line)
    for line in report_lines(report) if report else ():
        echo(line)
    _commands(run, echo)


def _mixture(run: Run) -> dict[str, float]:
    """Return each vocabulary's share of the rows in the newest step on record."""
    steps = run.events("step")
    fields = steps[-1].fields if steps else {}
    return {
        name.removeprefix("mixture/"): value
        for name, value in fields.items()
        if name.startswith("mixture/") and isinstance(value, float)
    }


def _size(event: Event) -> int:
    size = event.fields["bytes"]
    assert isinstance(size, int), "the ledger stores whole bytes"
    return size


def _commands(run: Run, say: Callable[[str], None]) -> None:
    lines = [
        ("look at it", "gfmp ui"),
        ("all its numbers", f"gfmp runs show {run.id}"),
        ("do it again", run.repeat_command),
    ]
    if run.resumable():
        lines.append(("go on with it", run.resume_command))
    for what, command in lines:
        say(f"  {what + ':':<16} {command}")


def step_line(event: Event) -> str:
    """Return the numbers of a step in one short line."""
    numbers = {k: v for k, v in event.fields.items() if isinstance(v, (int, float))}
    losses = "  ".join(
        f"{name.removeprefix('loss/')} {value:.3f}"
        for name, value in numbers.items()
        if name.startswith("loss/")
    )
    speed = numbers.get("tokens_per_second", 0.0)
    return f"loss {numbers['loss']:.4f}  {losses}  {speed:,.0f} tok/s"


def event_line(event: Event) -> str:
    """Return the line for an event that is not a step; empty for those nobody waits for."""
    fields = event.fields
    if event.kind == "started":
        return f"run starts with {fields['workers']} workers, engine {fields['engine']}"
    if event.kind == "grown":
        return f"begins with step {fields['parent_step']} of {fields['parent']}"
    if event.kind == "restarted":
        return restarted_line(event)
    if event.kind == "resumed":
        return f"resumed from the checkpoint of step {fields['step']}"
    if event.kind == "checkpoint":
        return f"checkpoint of step {fields['step']} committed ({number(_size(event))} bytes)"
    if event.kind == "checkpoint_rejected":
        return f"checkpoint {fields['path']} rejected: {fields['reason']}"
    if event.kind == "incident":
        return f"{fields['message']}: no weight was changed (numbers: {fields['policy']})"
    if event.kind == "rewound":
        return f"back to step {fields['step']}: leaves out the batches of {_batches(event)}"
    if event.kind == "evaluation":
        scores = "  ".join(
            f"{name.removeprefix('heldout/')} {value:.3f}"
            for name, value in fields.items()
            if name.endswith(("/loss", "/bits_per_base")) and isinstance(value, float)
        )
        return f"held-out at step {fields['step']}: {scores}"
    return ""


def _batches(event: Event) -> str:
    first, end = event.fields["first"], event.fields["end"]
    assert isinstance(first, int) and isinstance(end, int), "the ledger stores whole steps"
    return f"steps {first + 1} to {end}"


def show_outcome(run: Run, console: RichConsole) -> None:
    """Print the held-out report and what to do next when a job has ended."""
    ended = run.lifecycle()[-1]
    seconds = ended.fields.get("seconds", 0.0)
    assert isinstance(seconds, (int, float)), "the ledger stores seconds as a number"
    console.print(f"run {run.id} {ended.kind} in {duration(seconds)}", markup=False)
    report = run.report()
    for line in report_lines(report) if report else ():
        console.print(line, markup=False)
    for line in goodput_lines(run.events()):
        console.print(line, markup=False, soft_wrap=True)
    _commands(run, lambda line: console.print(line, markup=False, soft_wrap=True))


def show_logs(run: Run, lines: int) -> None:
    """Print the last lines of every log file of a run."""
    for path in sorted(run.logs_path.glob("*.log")):
        echo(f"==> {path} <==")
        for line in _tail(path, lines):
            echo(line)


def _tail(path: Path, lines: int) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]


def show_status(run: Run, json: bool) -> None:
    """Print the state of a run in a few lines."""
    fields = {key: _summary(run)[key] for key in ("id", "status", "progress", "path")}
    if job := job_of(run.path):
        fields["job"] = job
    if json:
        as_json(fields)
        return
    for name, value in fields.items():
        echo(f"{name}: {value}")
    if run.resumable():
        echo(f"go on with it: {run.resume_command}")


def show_stopping(run: Run) -> None:
    """Say that the run was asked to stop."""
    echo(f"{run.id} will commit a checkpoint at the end of its step and stop.")
    echo(f"Go on with it later: {run.resume_command}")


def show_synced(synced: Synced) -> None:
    """Say that MLflow holds what the ledger holds."""
    echo(
        f"MLflow equals the ledger of {synced.run_id}: "
        f"{synced.num_points:,} points and {synced.num_files} files sent."
    )


def show_serving(url: str) -> None:
    """Say where MLflow's page is and how to reach it from elsewhere."""
    port = url.rstrip("/").rsplit(":", 1)[1]
    echo("MLflow runs; only this machine can reach it, and Ctrl-C ends it. Open")
    echo(f"  {url.rstrip('/')}{_TRAINING_PAGE}")
    echo(f"From another machine: ssh -L {port}:127.0.0.1:{port} THIS-MACHINE")
