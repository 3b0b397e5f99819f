"""Tomtom's matches: the right motif, place and strand, with p-values that mean something."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from gfmp.errors import MissingInputError
from gfmp.genome.motif_files import meme_text
from gfmp.genome.motif_library import MotifLibrary, read_library
from gfmp.genome.motifs import Motif
from gfmp.inference.motif_match import best_matches, require_matcher

MATCHER = pytest.mark.skipif(
    importlib.util.find_spec("memelite") is None, reason="gfmp[motifs] is not installed"
)


def made_library(num_motifs: int, seed: int = 0) -> tuple[Motif, ...]:
    """Return motifs of random places, as an own file in a public format would have them."""
    generator = np.random.default_rng(seed)
    widths = generator.integers(7, 15, num_motifs)
    return tuple(
        Motif(f"OWN{n:02d} made", generator.dirichlet([0.25] * 4, width) * 40)
        for n, width in enumerate(widths.tolist())
    )


@pytest.fixture
def library(tmp_path: Path) -> MotifLibrary:
    """Forty motifs, through a file in MEME's format."""
    (tmp_path / "own.meme").write_text(meme_text(made_library(40)))
    return read_library("own.meme", tmp_path)


@MATCHER
def test_a_part_of_a_motif_finds_it(library: MotifLibrary) -> None:
    wanted = library.motifs[7]
    part = wanted.part(1, wanted.width)
    queries = (part, part.reverse_complement())
    straight, turned = (found[0] for found in best_matches(queries, library, 3))
    assert straight.target == turned.target == wanted.name
    assert (straight.reverse, turned.reverse) == (False, True)
    assert (straight.shift, turned.shift) == (1, 0)
    assert straight.overlap == part.width
    assert straight.p < 1e-5 and straight.p <= straight.q <= 40 * straight.p + 1e-300


@MATCHER
def test_random_motifs_have_even_p_values(library: MotifLibrary) -> None:
    queries = made_library(30, seed=1)
    found = best_matches(queries, library, 40)
    every = np.array([match.p for one in found for match in one])
    assert len(every) == 30 * 40
    assert 0.3 < np.median(every) < 0.75 and 0.02 < (every < 0.1).mean() < 0.2
    assert [m.p for m in found[0]] == sorted(m.p for m in found[0])


@MATCHER
def test_no_motifs_match_nothing(library: MotifLibrary) -> None:
    assert best_matches((), library, 3) == ()


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingInputError, match="memelite") as caught:
        require_matcher()
    assert 'gfmp[motifs]"' in caught.value.problems[0].fix
