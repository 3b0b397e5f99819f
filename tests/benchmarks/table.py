"""Every benchmark in one table: work, peer, ours, ratio, goal, limit.

    python tests/benchmarks/table.py                       run all, write platform/BENCHMARKS.md
    python tests/benchmarks/table.py --only bpe_training   run some, keep the other rows
    python tests/benchmarks/table.py --read gpu LOG        take rows from what a benchmark printed
    python tests/benchmarks/table.py --show                print the committed table

A benchmark is a script here that prints FIGURE lines (see figure.py). Ratios worse by more than
10 % than in the committed table are named; nothing fails because of them. Parts may be run apart,
also on several machines: each row says when and on which.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from figure import Figure

HERE = Path(__file__).resolve().parent
TABLE = HERE.parents[1] / "platform" / "BENCHMARKS.md"
FELL = 0.9
MARK = "FIGURE "
LIBRARIES = ("torch", "numpy", "numba", "tokenizers", "transformers", "pyarrow", "ray", "deepspeed")
HEADING = (
    "item",
    "work",
    "peer",
    "peer's rate",
    "our rate",
    "unit",
    "ratio",
    "goal",
    "met",
    "limit",
    "of the limit",
    "by",
    "date",
    "on",
)
TEXT = """\
# Benchmarks

Each row is a median over rounds in which peer and gfmp take turns in one run; rates are per CPU
second unless the unit says otherwise, and outputs were compared first. `python
tests/benchmarks/table.py` measures them again and writes this file; `by` names the script of a row,
which says more.
"""


@dataclass(frozen=True)
class Row:
    """A figure, and who measured it when and on what.

    Attributes:
        figure: What was found.
        script: Name of the benchmark, without its suffix.
        date: ISO date of the run.
        machine: CPU, cores and versions in one line.
    """

    figure: Figure
    script: str
    date: str
    machine: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What the row is about; two rows with one key are two measurements of the same."""
        return self.figure.item, self.figure.work, self.figure.peer


def scripts() -> tuple[str, ...]:
    """Return the names of the benchmarks that print figures."""
    found = sorted(HERE.glob("*.py"))
    texts = {path.stem: path.read_text(encoding="utf-8") for path in found}
    own = Path(__file__).stem
    return tuple(
        n for n, text in texts.items() if n != own and "Figure(" in text and "def main(" in text
    )


def machine() -> str:
    """Return this machine and the versions of what is measured, in one line."""
    found = []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    cores = len(os.sched_getaffinity(0))
    gpu = ", ".join(_gpus())
    return (
        f"{cpu_model()}, {cores} cores{f', {gpu}' if gpu else ''};"
        f" Python {platform.python_version()}, {', '.join(found)}"
    )


def cpu_model() -> str:
    """Return the CPU's name, and what of AVX-512 bf16 and AMX it has."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    lines = [line.partition(":") for line in text.splitlines()]
    values = {name.strip(): value.strip() for name, _, value in lines}
    flags = values.get("flags", "").split()
    known = [flag for flag in ("avx512_bf16", "amx_bf16") if flag in flags]
    return f"{values.get('model name', 'unknown CPU')} ({', '.join(known) or 'no bf16'})"


def _gpus() -> Iterator[str]:
    for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        for line in path.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "Model":
                yield value.strip()


def figures(lines: Iterable[str]) -> list[Figure]:
    """Return the figures among the lines that a benchmark printed."""
    names = {field.name for field in fields(Figure)}
    found = []
    for line in lines:
        if line.startswith(MARK):
            values = json.loads(line.removeprefix(MARK))
            found.append(Figure(**{name: v for name, v in values.items() if name in names}))
    return found


def run(script: str) -> list[str]:
    """Run a benchmark, show what it prints, and return its lines.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    command = [sys.executable, str(HERE / f"{script}.py")]
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HERE.parents[1]) as done:
        assert done.stdout is not None, "it is a pipe"
        for line in done.stdout:
            print(f"  {line}", end="", flush=True)
            lines.append(line)
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, command)
    return lines


def merged(old: Iterable[Row], new: Sequence[Row]) -> list[Row]:
    """Return the rows of both; a script that was run again replaces all of its rows here.

    Rows of the same script from another machine stay when they are about something else.
    """
    keys = {row.key for row in new}
    places = {(row.script, row.machine) for row in new}
    kept = [r for r in old if r.key not in keys and (r.script, r.machine) not in places]
    return sorted([*kept, *new], key=_order)


def _order(row: Row) -> tuple[int, str, str]:
    return int(row.figure.item), row.script, row.figure.work


def fallen(old: Iterable[Row], new: Iterable[Row]) -> list[str]:
    """Return a line for every ratio that became worse by more than a tenth."""
    before = {row.key: row.figure.ratio for row in old}
    return [
        f"worse: {row.figure.work} against {row.figure.peer}:"
        f" {before[row.key]:.4g} -> {row.figure.ratio:.4g} ({row.script})"
        for row in new
        if row.key in before and _worse(row.figure, before[row.key])
    ]


def _worse(figure: Figure, before: float) -> bool:
    if "ratio <=" in figure.goal:
        return figure.ratio * FELL > before
    return figure.ratio < before * FELL


def written(rows: Sequence[Row]) -> str:
    """Return the table as the Markdown file."""
    letters = {name: chr(ord("A") + i) for i, name in enumerate(_machines(rows))}
    lines = [TEXT, "| " + " | ".join(HEADING) + " |", "|" + "---|" * len(HEADING)]
    lines += ["| " + " | ".join(_cells(row, letters)) + " |" for row in rows]
    lines += ["", *(f"* {letter}: {name}" for name, letter in letters.items()), ""]
    return "\n".join(lines)


def _machines(rows: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(row.machine for row in rows))


def _cells(row: Row, letters: Mapping[str, str]) -> tuple[str, ...]:
    found = row.figure
    return (
        found.item,
        found.work,
        found.peer or "-",
        f"{found.peer_rate:.4g}",
        f"{found.our_rate:.4g}",
        found.unit,
        f"{found.ratio:.4g}",
        found.goal or "-",
        ("yes" if found.met else "no") if found.goal else "-",
        found.limit or "-",
        f"{found.share_of_limit:.4g}",
        row.script,
        row.date,
        letters[row.machine],
    )


def read(text: str) -> list[Row]:
    """Return the rows of a file that `written` made."""
    lines = text.splitlines()
    names = {line[2:3]: line[5:] for line in lines if line[:2] == "* " and line[3:5] == ": "}
    return [_row(line, names) for line in lines if line.startswith("| ") and line[2].isdigit()]


def _row(line: str, names: Mapping[str, str]) -> Row:
    cells = dict(zip(HEADING, (c.strip() for c in line.strip("| ").split(" | ")), strict=True))
    empty = {"-": ""}
    return Row(
        Figure(
            item=cells["item"],
            work=cells["work"],
            peer=empty.get(cells["peer"], cells["peer"]),
            peer_rate=float(cells["peer's rate"]),
            our_rate=float(cells["our rate"]),
            unit=cells["unit"],
            ratio=float(cells["ratio"]),
            goal=empty.get(cells["goal"], cells["goal"]),
            limit=empty.get(cells["limit"], cells["limit"]),
            share_of_limit=float(cells["of the limit"]),
        ),
        cells["by"],
        cells["date"],
        names[cells["on"]],
    )


def measured(options: argparse.Namespace) -> tuple[list[Row], list[str]]:
    """Run or read what was asked for; return the rows and the scripts that failed."""
    today, here = time.strftime("%Y-%m-%d"), machine()
    rows: list[Row] = []
    failed: list[str] = []
    for script, log in options.read:
        lines = Path(log).read_text(encoding="utf-8").splitlines()
        rows += [Row(found, script, today, options.machine or here) for found in figures(lines)]
    chosen = options.only if options.only or options.read else scripts()
    for script in chosen:
        print(f"{script}:", flush=True)
        try:
            rows += [Row(found, script, today, here) for found in figures(run(script))]
        except subprocess.CalledProcessError:
            failed.append(script)
    return rows, failed


def main() -> int:
    """Measure, compare with the committed table, and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[], choices=scripts(), metavar="NAME")
    parser.add_argument("--read", nargs=2, action="append", default=[], metavar=("NAME", "LOG"))
    parser.add_argument("--machine", default="", help="where the logs of --read were made")
    parser.add_argument("--show", action="store_true", help="print the table; run nothing")
    parser.add_argument("--output", type=Path, default=TABLE)
    options = parser.parse_args()
    old = read(TABLE.read_text(encoding="utf-8")) if TABLE.exists() else []
    if options.show:
        print(written(old))
        return 0
    new, failed = measured(options)
    text = written(merged(old, new))
    options.output.write_text(text, encoding="utf-8")
    print(text)
    for line in fallen(old, new):
        print(line)
    for script in failed:
        print(f"failed: {script}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
