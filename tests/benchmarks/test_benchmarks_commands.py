"""Each benchmark is a command that prints a ratio; its speed is read, never asserted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
COMMANDS = {
    "feed_tokens.py": ("--demand", "15000"),
    "corpus_ingest.py": ("--rounds", "1"),
    "submit_throughput.py": ("--rounds", "1", "--steps", "40"),
    "sweep_cells.py": ("--rounds", "1"),
    "kmer_encoding.py": ("--rounds", "1"),
    "bpe_training.py": ("--rounds", "1", "--bases", "1000000"),
    "bpe_encoding.py": ("--rounds", "1", "--bases", "1000000"),
    "collate.py": ("--rounds", "1"),
    "train_step.py": ("--rounds", "1", "--sequences", "2"),
    "checkpoint_pause.py": ("--rounds", "1", "--sequences", "2"),
    "gpu.py": ("--rehearse",),
    "data_scale.py": ("--rounds", "1", "--megabases", "5"),
    "plan_reality.py": ("--rounds", "1", "--steps", "30"),
}
# What other benchmarks import or start, the model that reads their table, and what makes a VCF.
PARTS = {
    "bare_loop.py",
    "cost_model.py",
    "cost_stages.py",
    "device_kmers.py",
    "figure.py",
    "genomes.py",
    "random_variants.py",
    "step_peers.py",
    "table.py",
}
# Public benchmark files are not shipped; this names a folder that has them, in the layout of GUE.
DATA_VARIABLE = "GFMP_BENCHMARK_DATA"
# A finished sweep takes too long to make here; this names one, by its run.
SWEEP_VARIABLE = "GFMP_BENCHMARK_SWEEP"


@pytest.mark.bench
def test_the_benchmark_files_print_their_ratio() -> None:
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        pytest.skip(f"${DATA_VARIABLE} names no folder with benchmark files")
    done = subprocess.run(
        [sys.executable, FOLDER / "benchmark_files.py", folder],
        capture_output=True,
        text=True,
        check=True,
    )
    print(done.stdout)
    assert re.search(r"ratio +\d+\.\d+", done.stdout)


@pytest.mark.bench
def test_the_advisor_is_held_against_a_sweep() -> None:
    named = os.environ.get(SWEEP_VARIABLE)
    if not named:
        pytest.skip(f"${SWEEP_VARIABLE} names no finished sweep of the workspace")
    done = subprocess.run(
        [sys.executable, FOLDER / "advisor_truth.py", named],
        capture_output=True,
        text=True,
        check=True,
    )
    print(done.stdout)
    assert re.search(r"ratio +\d+\.\d+", done.stdout)


@pytest.mark.bench
@pytest.mark.parametrize("name", COMMANDS)
def test_a_benchmark_prints_its_ratio(name: str, tmp_path: Path) -> None:
    place = ("--workspace", str(tmp_path)) if name.startswith(("submit", "plan")) else ()
    done = subprocess.run(
        [sys.executable, FOLDER / name, *COMMANDS[name], *place],
        capture_output=True,
        text=True,
        check=True,
        cwd=FOLDER.parents[1],
    )
    print(done.stdout)
    assert re.search(r"ratio +\d+\.\d+|\d x the demand|no peer|every part ran", done.stdout)


def test_every_benchmark_is_listed_here() -> None:
    tests = {path.name for path in FOLDER.glob("test_*.py")}
    scripts = {path.name for path in FOLDER.glob("*.py")} - tests - PARTS
    assert scripts == set(COMMANDS) | {"benchmark_files.py", "advisor_truth.py"}
