"""Libraries by name and by path."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from gfmp.errors import CorruptArtefactError, MissingInputError, SpecError
from gfmp.genome import motif_library
from gfmp.genome.motif_files import meme_text
from gfmp.genome.motif_library import NAMES, read_library
from gfmp.genome.motifs import Motif

JASPAR = pytest.mark.skipif(
    importlib.util.find_spec("pyjaspar") is None, reason="gfmp[motifs] is not installed"
)


def test_a_file_is_found_from_the_folder_of_the_job(tmp_path: Path) -> None:
    motifs = [Motif("made", np.eye(4)[[2, 0, 3, 3]] * 20)]
    (tmp_path / "own.meme").write_text(meme_text(motifs))
    found = read_library("own.meme", tmp_path)
    assert found.name == "own.meme" and found.motifs[0].consensus == "GATT"
    again = read_library(str(tmp_path / "own.meme"), Path("/nowhere"))
    assert again.fingerprint == found.fingerprint
    (tmp_path / "own.meme").write_text(meme_text([motifs[0].part(0, 3).named("made")]))
    assert read_library("own.meme", tmp_path).fingerprint != found.fingerprint


def test_unknown_names_and_paths(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="jaspar_vertebrate") as caught:
        read_library("jaspar_vertebrate", tmp_path, "job.yaml:3:10")
    problem = caught.value.problems[0]
    assert problem.where == "job.yaml:3:10" and "jaspar_vertebrates" in problem.fix
    with pytest.raises(MissingInputError, match="there is no file"):
        read_library("./own.meme", tmp_path)


def test_a_missing_package_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(*_: str) -> Path:
        raise MissingInputError("the package pyjaspar is not installed", where="pyjaspar==4.0.0")

    monkeypatch.setattr(motif_library, "installed_file", absent)
    with pytest.raises(MissingInputError, match="pyjaspar") as caught:
        read_library("jaspar_plants", tmp_path)
    assert 'gfmp[motifs]"' in caught.value.problems[0].fix


def test_a_damaged_package_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.sqlite").write_bytes(b"SQLite format 3\0" + bytes(200))
    monkeypatch.setattr(motif_library, "installed_file", lambda *_: tmp_path / "broken.sqlite")
    with pytest.raises(CorruptArtefactError, match="cannot be read"):
        read_library("jaspar_plants", tmp_path)


@JASPAR
def test_jaspar_2024_core_by_group() -> None:
    """Each profile is there once, in its latest version."""
    vertebrates = read_library("jaspar_vertebrates", Path())
    insects = read_library("jaspar_insects", Path())
    assert (len(vertebrates.motifs), len(insects.motifs)) == (879, 286)
    (ctcf,) = [one for one in vertebrates.motifs if one.name == "MA0139.2 CTCF"]
    assert ctcf.width == 15 and ctcf.consensus == "RCCASYAGRKGGCRS"
    assert ctcf.num_sites > 100 and (ctcf.counts.sum(axis=1) > 0).all()
    assert "CC BY 4.0" in vertebrates.credit
    names = {one.name.split(".")[0] for one in vertebrates.motifs}
    assert len(names) == len(vertebrates.motifs), "one version of each"


@JASPAR
def test_all_of_jaspar_is_its_groups() -> None:
    every = read_library("jaspar", Path())
    parts = [read_library(name, Path()) for name in NAMES if name != "jaspar"]
    assert len(every.motifs) == len({m.name for part in parts for m in part.motifs}) > 2_300
