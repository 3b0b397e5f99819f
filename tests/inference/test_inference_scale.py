"""A million variants against sixty million bases: read, compared and windowed in flat memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

LETTERS = np.frombuffer(b"ACGT", np.uint8)
COLUMNS = b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
# Beyond what the interpreter and its libraries take.
MOST_MIB = 64
SURVEY = """
import json, resource, sys
from pathlib import Path
from gfmp.genome.letters import find_letters
from gfmp.genome.locations import LocalFile
from gfmp.genome.selection import PinnedFile
from gfmp.inference.survey import VariantFile
from gfmp.plan.variant_effect import EffectPlan, EffectWhat, EffectWhere

folder = Path(sys.argv[1])
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
what = EffectWhat("v", "r", (), "error", 0.1, 512, True, 1, 6, (), None, None)
where = EffectWhere(str(folder / "v.vcf"), str(folder / "r.fa"), 1, "cpu", 2000)
before = peak()
letters = find_letters(PinnedFile(LocalFile(where.reference_path)), folder / "references")
found = VariantFile(EffectPlan("x", what, where, ()), letters).survey(lambda n, s: None)
print(json.dumps({"records": found.records, "usable": found.usable, "mib": peak() - before}))
"""


def write(folder: Path, num_bases: int, num_variants: int) -> None:
    """Write one contig and substitutions, insertions and deletions spread over it."""
    generator = np.random.default_rng(0)
    letters = LETTERS[generator.integers(0, 4, num_bases)]
    lines = np.full((num_bases // 80, 81), ord("\n"), np.uint8)
    lines[:, :80] = letters.reshape(-1, 80)
    (folder / "r.fa").write_bytes(b">c\n" + lines.tobytes())
    places = np.sort(generator.choice(num_bases - 50, num_variants, replace=False))
    rows = [_row(letters, place, number) for number, place in enumerate(places.tolist())]
    (folder / "v.vcf").write_bytes(b"##fileformat=VCFv4.3\n" + COLUMNS + b"".join(rows))


def _row(letters: np.ndarray, place: int, number: int) -> bytes:
    ref = letters[place : place + 1].tobytes()
    pair = (ref, b"ACGT".replace(ref, b"")[number % 3 :][:1])
    if number % 20 == 0:
        pair = (letters[place : place + 4].tobytes(), ref)
    elif number % 20 == 1:
        pair = (ref, ref + b"TG")
    return b"c\t%d\t.\t%s\t%s\t.\tPASS\t.\n" % (place + 1, *pair)


def surveyed(folder: Path) -> dict[str, float]:
    """Survey in a process of its own and return what it found and its memory."""
    done = subprocess.run(
        [sys.executable, "-c", SURVEY, str(folder)], capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("num_bases", "num_variants"),
    [(4_000_000, 20_000), pytest.param(60_000_000, 1_000_000, marks=pytest.mark.long)],
)
def test_memory_does_not_grow_with_variants_or_reference(
    tmp_path: Path, num_bases: int, num_variants: int
) -> None:
    write(tmp_path, num_bases, num_variants)
    found = surveyed(tmp_path)
    assert (found["records"], found["usable"]) == (num_variants, num_variants)
    assert found["mib"] < MOST_MIB, found
