"""The fuzzer itself: it runs, it tries everything, and it finds what is broken."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz import Tally, changed, turn
from fuzz_targets import TARGETS, Target

FUZZ = Path(__file__).with_name("fuzz.py")


@pytest.mark.ci
def test_a_turn_of_every_target_finds_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(FUZZ), "0", "--seed", "9", "--found", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    for target in TARGETS:
        inputs, refused, crashes = (int(n.replace(",", "")) for n in lines[target.name][:3])
        assert inputs >= 50
        assert 0 < refused <= inputs
        assert crashes == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.ci
def test_a_broken_reader_is_found_and_its_input_kept_small(tmp_path: Path) -> None:
    def read(data: bytes) -> None:
        if re.search(b"[MASK]{3,}", data) and len(data) > 8:
            raise IndexError("as readers do")

    tally = Tally()
    target = Target("broken", read, (b"a long enough good file " * 5,), (b"MASK", b"SSS"))
    turn(target, 1, tally, tmp_path)
    assert tally.crashes == 1
    (kept,) = tmp_path.iterdir()
    with pytest.raises(IndexError):
        read(kept.read_bytes())


@pytest.mark.ci
def test_good_files_are_good() -> None:
    for target in TARGETS:
        if target.name not in ("haplotype", "archive", "vcf", "features"):
            target.read(target.seeds[0])
    assert changed(b"abc", [("insert", 1, b"-"), ("cut", 0, 1), ("flip", 9, 0)]) == b"-cc"
