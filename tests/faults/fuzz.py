"""Throws broken files at everything that reads one: `python tests/faults/fuzz.py SECONDS`.

Each input is a good file, changed: cut, spliced, repeated, bits flipped, words of its grammar put
in, packed. Whatever comes, a reader gives back what it read or an error of `gfmp.errors`; any
other exception, ten processor seconds for one small file or 3 GiB of memory is a crash. Crashes
are made small by hypothesis and kept as files; the exit status then is 1.
"""

from __future__ import annotations

import argparse
import gzip
import resource
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from fuzz_targets import TARGETS, Target
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from gfmp.errors import GfmpError

MEMORY_BYTES = 3 << 30
SECONDS_EACH = 10.0
INPUTS_A_TURN = 100


class TooSlowError(Exception):
    """One small input took longer than any may."""


@dataclass
class Tally:
    """What became of the inputs of one target."""

    inputs: int = 0
    refused: int = 0
    crashes: int = 0
    seconds: float = 0.0
    slowest: float = 0.0


def mutations(target: Target) -> st.SearchStrategy[bytes]:
    """Return changed versions of the target's good files."""
    words = st.sampled_from(target.words) | st.binary(max_size=4)
    place = st.integers(0, max(map(len, target.seeds)))
    change = st.one_of(
        st.tuples(st.just("insert"), place, words),
        st.tuples(st.just("cut"), place, st.integers(1, 64)),
        st.tuples(st.just("repeat"), place, st.integers(1, 64)),
        st.tuples(st.just("flip"), place, st.integers(0, 7)),
        st.tuples(st.just("end"), place, st.just(0)),
        st.tuples(st.just("pack"), place, st.just(0)),
    )
    start = st.sampled_from(target.seeds)
    return st.builds(changed, start, st.lists(change, max_size=4))


def changed(data: bytes, changes: list[tuple[str, int, bytes | int]]) -> bytes:
    """Apply the changes one after the other; `pack` compresses what is there so far."""
    for kind, place, detail in changes:
        at = place % (len(data) + 1)
        if isinstance(detail, bytes):
            data = data[:at] + detail + data[at:]
        elif kind == "cut":
            data = data[:at] + data[at + detail :]
        elif kind == "repeat":
            data = data[:at] + data[at : at + 40] * detail + data[at:]
        elif kind == "flip" and at < len(data):
            data = data[:at] + bytes([data[at] ^ 1 << detail]) + data[at + 1 :]
        elif kind == "end":
            data = data[:at]
        elif kind == "pack":
            data = gzip.compress(data, 1, mtime=0)
    return data


def turn(target: Target, number: int, tally: Tally, found: Path) -> None:
    """Try a hundred inputs; keep the smallest that crashes."""
    newest = b""

    @seed(number)
    @settings(
        max_examples=INPUTS_A_TURN,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(mutations(target))
    def one(data: bytes) -> None:
        nonlocal newest
        newest = data
        tally.inputs += 1
        began = time.process_time()
        try:
            target.read(data)
        except GfmpError as fault:
            tally.refused += 1
            assert str(fault), "an error says something"
        took = time.process_time() - began
        tally.slowest = max(tally.slowest, took)
        if took > SECONDS_EACH:
            raise TooSlowError(f"{len(data):,} bytes took {took:.1f} s")

    began = time.monotonic()
    try:
        one()
    except Exception:
        tally.crashes += 1
        path = found / f"{target.name}-{number}"
        path.write_bytes(newest)
        print(f"crash of {target.name}, kept in {path}:\n{traceback.format_exc(limit=-4)}")
    tally.seconds += time.monotonic() - began


def table(tallies: dict[str, Tally]) -> str:
    """Return one line for each target and one for all."""
    lines = [
        f"{'target':<12} {'inputs':>9} {'refused':>9} {'crashes':>8} {'s':>7} {'slowest s':>10}"
    ]
    whole = Tally()
    for name, tally in tallies.items():
        lines.append(_line(name, tally))
        whole.inputs += tally.inputs
        whole.refused += tally.refused
        whole.crashes += tally.crashes
        whole.seconds += tally.seconds
        whole.slowest = max(whole.slowest, tally.slowest)
    return "\n".join([*lines, _line("all", whole)])


def _line(name: str, tally: Tally) -> str:
    numbers = f"{tally.inputs:>9,} {tally.refused:>9,} {tally.crashes:>8}"
    return f"{name:<12} {numbers} {tally.seconds:>7.0f} {tally.slowest:>10.2f}"


def fuzz(seconds: float, first: int, targets: tuple[Target, ...], found: Path) -> int:
    """Let every target have its turn, again and again, until the time is over."""
    tallies = {target.name: Tally() for target in targets}
    ends = time.monotonic() + seconds
    number = first
    while True:
        for target in targets:
            turn(target, number, tallies[target.name], found)
        number += 1
        if time.monotonic() >= ends:
            break
    print(table(tallies))
    print(f"seeds {first} to {number - 1}")
    return int(any(tally.crashes for tally in tallies.values()))


def main() -> int:
    """Read the arguments and fuzz."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", type=float, help="how long; every target gets one turn at least")
    parser.add_argument("--seed", type=int, default=0, help="first seed; other inputs each")
    parser.add_argument("--only", choices=[target.name for target in TARGETS], action="append")
    parser.add_argument("--found", type=Path, help="folder for inputs that crash")
    asked = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    found = asked.found or Path(tempfile.mkdtemp(prefix="gfmp-fuzz-"))
    found.mkdir(parents=True, exist_ok=True)
    targets = tuple(t for t in TARGETS if not asked.only or t.name in asked.only)
    return fuzz(asked.seconds, asked.seed, targets, found)


if __name__ == "__main__":
    sys.exit(main())
