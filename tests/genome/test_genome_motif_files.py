"""Motif files: both formats, every fault with its line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gfmp.errors import DataError
from gfmp.genome.motif_files import meme_text, read_motifs
from gfmp.genome.motifs import Motif

MEME = """MEME version 4

ALPHABET= ACGT

strands: + -

Background letter frequencies
A 0.25 C 0.25 G 0.25 T 0.25

MOTIF MADE1 box
letter-probability matrix: alength= 4 w= 2 nsites= 40 E= 0
 0.5 0.25 0.25 0
 0 0 0 1
URL none

MOTIF MADE2
letter-probability matrix: alength= 4 w= 1
0.1\t0.2\t0.3\t0.4
"""
JASPAR = """>MADE1\tbox
A  [ 10  0 ]
C  [  5  0 ]
G  [  5  0 ]
T  [  0 20 ]

>MADE2 raw
1
2
3
4
"""


def written(folder: Path, text: str, name: str = "library.txt") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_meme(tmp_path: Path) -> None:
    box, other = read_motifs(written(tmp_path, MEME))
    assert (box.name, other.name) == ("MADE1 box", "MADE2")
    assert box.counts.tolist() == [[20.0, 10.0, 10.0, 0.0], [0.0, 0.0, 0.0, 40.0]]
    np.testing.assert_allclose(other.frequencies, [[0.1, 0.2, 0.3, 0.4]])


def test_jaspar(tmp_path: Path) -> None:
    box, other = read_motifs(written(tmp_path, JASPAR))
    assert (box.name, box.consensus) == ("MADE1 box", "MT")
    assert box.counts.tolist() == [[10.0, 5.0, 5.0, 0.0], [0.0, 0.0, 0.0, 20.0]]
    assert other.counts.tolist() == [[1.0, 2.0, 3.0, 4.0]]


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(widths=st.lists(st.integers(1, 20), min_size=1, max_size=5), seed=st.integers(0, 99))
def test_what_is_written_is_read(widths: list[int], seed: int, tmp_path: Path) -> None:
    generator = np.random.default_rng(seed)
    motifs = [
        Motif(f"m {n}", generator.dirichlet([0.3] * 4, width) * 33)
        for n, width in enumerate(widths)
    ]
    found = read_motifs(written(tmp_path, meme_text(motifs)))
    for one, other in zip(motifs, found, strict=True):
        assert one.name == other.name
        np.testing.assert_allclose(one.frequencies, other.frequencies, atol=1e-5)
        assert other.num_sites == pytest.approx(33, abs=0.01)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (MEME.replace(" 0.5 0.25 0.25 0\n", " 0.5 0.25 0.25\n"), 12, "0.5 0.25 0.25"),
        (MEME.replace(" 0.5 0.25 0.25 0\n", " 0.5 0.25 x 0\n"), 12, "0.5 0.25 x 0"),
        (MEME.replace(" 0.5 0.25 0.25 0\n", " 0.5 0.25 -0.25 0.5\n"), 12, "-0.25"),
        (MEME.replace(" 0.5 0.25 0.25 0\n", " 0.5 0.25 0.5 0\n"), 12, "sum to 1.25"),
        (MEME.replace("w= 2", "w= 0"), 11, "width of 'MADE1 box' is '0'"),
        (MEME.replace("w= 2", "w= 9"), 14, "URL none"),
        (MEME.replace("w= 2 ", ""), 11, "width of 'MADE1 box' is ''"),
        (MEME.replace("nsites= 40", "nsites= many"), 11, "many"),
        (MEME.replace("ALPHABET= ACGT", "ALPHABET= ACGU"), 3, "ACGU"),
        (MEME.replace("MOTIF MADE1 box", "MOTIF"), 10, "without a name"),
        (MEME.replace("MOTIF MADE1 box\n", ""), 10, "before any MOTIF"),
        (MEME.replace("MADE2", "MADE1 box"), 1, "two motifs are called 'MADE1 box'"),
        (MEME.rpartition("letter")[0], 16, "has no matrix"),
        (MEME[: MEME.index(" 0 0 0 1")], 12, "''"),
        (JASPAR.replace("A  [ 10  0 ]", "A  [ 10 ]"), 3, "2 counts of C"),
        (JASPAR.replace("T  [  0 20 ]", "T  [  0 inf ]"), 5, "inf"),
        (JASPAR.replace("T  [  0 20 ]", "T  [  0 0 ]"), 1, "place without counts"),
        (JASPAR.replace(">MADE2 raw", "MADE2 raw"), 7, "MADE2 raw"),
        (JASPAR.replace(">MADE1\tbox", ">"), 1, ">"),
        (JASPAR[: JASPAR.index("\n4")], 10, "''"),
        ("", 1, "no motif"),
        ("<html>moved</html>\n", 1, "no motif"),
    ],
)
def test_faults_are_told_with_their_lines(
    text: str, line: int, message: str, tmp_path: Path
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(DataError) as caught:
        read_motifs(path)
    (problem,) = caught.value.problems
    assert problem.where == f"{path}:{line}" and message in problem.message
    assert problem.why and problem.fix
