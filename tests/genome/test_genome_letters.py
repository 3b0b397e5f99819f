"""Letters of a reference: any stretch, from any layout, without reading the rest."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from genome_samples import fasta_text, random_dna
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.errors import CorruptArtefactError, DataError
from gfmp.genome import letters as module
from gfmp.genome.letters import Letters, find_letters
from gfmp.genome.locations import LocalFile
from gfmp.genome.selection import PinnedFile

CONTIGS = [("chr1", random_dna(5000, 1)), ("chr2", random_dna(77, 2)), ("chrM", random_dna(900, 3))]


def opened(path: Path, data: bytes, sha256: str = "") -> Letters:
    path.write_bytes(data)
    return find_letters(PinnedFile(LocalFile(str(path)), sha256), path.parent / "references")


@pytest.fixture
def found(tmp_path: Path) -> Letters:
    return opened(tmp_path / "x.fa", fasta_text(CONTIGS))


def test_every_stretch_is_that_of_the_file(found: Letters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WINDOW_BYTES", 64)  # so that a test crosses what is read at once
    assert found.lengths == {name: len(text) for name, text in CONTIGS}
    by_name = dict(CONTIGS)

    @settings(deadline=None, max_examples=60)
    @given(st.sampled_from(sorted(by_name)), st.integers(0, 5000), st.integers(0, 300))
    def check(name: str, start: int, length: int) -> None:
        start = min(start, len(by_name[name]))
        end = min(start + length, len(by_name[name]))
        assert found.fetch(name, start, end) == by_name[name][start:end].encode()

    check()


@pytest.mark.parametrize("change", ["gzip", "crlf", "lower", "rna", "wide"])
def test_layout_changes_no_letter(change: str, found: Letters, tmp_path: Path) -> None:
    data = fasta_text(CONTIGS)
    (tmp_path / "other").mkdir()
    changed = {
        "gzip": gzip.compress(data),
        "crlf": fasta_text(CONTIGS, end="\r\n"),
        "lower": data.lower().replace(b">chrm", b">chrM"),
        "rna": data.replace(b"T", b"U"),
        "wide": fasta_text(CONTIGS, width=100_000),
    }[change]
    other = opened(tmp_path / "other" / "x.fa", changed)
    for name, text in CONTIGS:
        assert other.fetch(name, 0, len(text)) == found.fetch(name, 0, len(text))


def test_the_copy_is_made_once_for_each_content(found: Letters, tmp_path: Path) -> None:
    (folder,) = (tmp_path / "references").iterdir()
    before = (folder / "letters.bin").stat().st_mtime_ns
    again = opened(tmp_path / "renamed.fa", fasta_text(CONTIGS))
    assert again.sha256 == found.sha256
    assert (folder / "letters.bin").stat().st_mtime_ns == before
    opened(tmp_path / "x.fa", fasta_text(CONTIGS[:2]))
    assert len(list((tmp_path / "references").iterdir())) == 2
    found.close()


def test_ambiguity_codes_stay_and_what_is_no_base_is_named(tmp_path: Path) -> None:
    assert opened(tmp_path / "a.fa", b">x\nACRYN\n").fetch("x", 0, 5) == b"ACRYN"
    with pytest.raises(DataError, match="'\\*' is no base") as caught:
        opened(tmp_path / "b.fa", b">x\nACG\nA*G\n")
    assert caught.value.problems[0].where.endswith("b.fa:3:2")
    assert len(list((tmp_path / "references").glob("[!.]*"))) == 1


def test_a_pin_that_does_not_hold_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the file changed"):
        opened(tmp_path / "x.fa", fasta_text(CONTIGS), "0" * 64)


@pytest.mark.parametrize("damage", ["shorter", "format", "other"])
def test_damage_is_named_with_the_way_out(damage: str, found: Letters, tmp_path: Path) -> None:
    (folder,) = (tmp_path / "references").iterdir()
    index = json.loads((folder / "index.json").read_text())
    if damage == "shorter":
        data = (folder / "letters.bin").read_bytes()
        (folder / "letters.bin").write_bytes(data[:-1])
    elif damage == "format":
        (folder / "index.json").write_text(json.dumps({**index, "format_version": 9}))
    else:
        (folder / "index.json").write_text(json.dumps({**index, "sha256": "f" * 64}))
    with pytest.raises(CorruptArtefactError, match="damaged") as caught:
        opened(tmp_path / "x.fa", fasta_text(CONTIGS))
    assert "remove the folder" in caught.value.problems[0].fix
