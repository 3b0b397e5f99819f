"""The corpus of people: its file is planned and built on small files of the same names."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest

from gfmp.errors import MissingInputError
from gfmp.genome.corpus import Piece
from gfmp.genome.ingest import build_corpus
from gfmp.genome.sources import IngestSettings
from gfmp.plan.survey import find_corpus
from gfmp.storage.workspace import Workspace

SHIPPED = Path(__file__).resolve().parents[2] / "specs" / "corpora" / "thousand_genomes.yaml"
PEOPLE = ("NA12891", "NA19238", "HG00512", "HG00732")
MEN = ("NA12891", "HG00512")
GROUPS = {"autosomes": ("chr21", "chr22"), "chrX": ("chrX",), "chrY": ("chrY",), "chrM": ("chrM",)}
COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *PEOPLE)


def letters(contig: str) -> str:
    """Return the reference of a contig."""
    rng = np.random.default_rng(sum(contig.encode()))
    return "".join(rng.choice(list("ACGT"), 600))


def copies(group: str, person: str) -> int:
    """Return how many copies of these contigs a person has."""
    if group == "autosomes" or (group == "chrX" and person not in MEN):
        return 2
    return 0 if group == "chrY" and person not in MEN else 1


def carries(row: int, person: str, haplotype: int) -> bool:
    """Return True where the alternate of a row is on a haplotype: no two haplotypes are alike."""
    return bool((PEOPLE.index(person) + 4 * (haplotype - 1)) >> row & 1)


def edits(text: str) -> list[tuple[int, str, str]]:
    """Return a substitution, an insertion and a deletion as (start, REF, ALT)."""
    other = "A" if text[99] != "A" else "C"
    insertion = (199, text[199], text[199] + "GATTACA")
    return [(99, text[99], other), insertion, (299, text[299:310], text[299])]


def vcf_text(group: str) -> str:
    """Write the calls of all people, and a record that cannot be applied."""
    lines = ["##fileformat=VCFv4.3", "\t".join(COLUMNS)]
    for contig in GROUPS[group]:
        text = letters(contig)
        for row, (start, ref, alt) in enumerate([*edits(text), (399, text[399], "<DEL>")]):
            calls = [
                "|".join(str(int(carries(row, one, h + 1))) for h in range(copies(group, one)))
                for one in PEOPLE
            ]
            fields = (contig, str(start + 1), ".", ref, alt, ".", "PASS", ".", "GT")
            lines.append("\t".join((*fields, *(call or "." for call in calls))))
    return "\n".join(lines) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Lay the shipped file beside small sequences and VCFs."""
    corpora = tmp_path / "specs" / "corpora"
    corpora.mkdir(parents=True)
    (tmp_path / "jobs").mkdir()
    shutil.copy(SHIPPED, corpora)
    for group, contigs in GROUPS.items():
        fasta = "".join(f">{contig}\n{letters(contig)}\n" for contig in contigs)
        (corpora / f"GRCh38.{group}.fa.gz").write_bytes(gzip.compress(fasta.encode()))
        (corpora / f"1kg.{group}.vcf.gz").write_bytes(gzip.compress(vcf_text(group).encode()))
    return tmp_path


def planned(folder: Path) -> IngestSettings:
    """Plan the corpus from a folder of jobs beside `specs`."""
    return find_corpus("thousand_genomes", folder / "jobs", Workspace(folder / "w")).settings


def test_without_its_files_every_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError) as caught:
        find_corpus("thousand_genomes", SHIPPED, Workspace(tmp_path))
    named = {problem.message.rsplit("/", 1)[-1] for problem in caught.value.problems}
    assert named == {f"GRCh38.{g}.fa.gz" for g in GROUPS} | {f"1kg.{g}.vcf.gz" for g in GROUPS}


def test_there_is_a_source_for_every_copy_that_a_person_has(folder: Path) -> None:
    found = sorted(
        (source.assembly, source.origin.split("GRCh38.")[1].split(".fa")[0])
        for source in planned(folder).sources
    )
    assert found == sorted(
        (f"GRCh38-{person}-{haplotype}", group)
        for group in GROUPS
        for person in PEOPLE
        for haplotype in range(1, copies(group, person) + 1)
    )


def test_it_is_built_with_the_letters_of_every_person(folder: Path) -> None:
    corpus = build_corpus(planned(folder), folder / "out" / "corpus", wait_seconds=5)
    pieces: list[Piece] = []
    for group in (*corpus.row_groups("train"), *corpus.row_groups("valid")):
        pieces += corpus.read(group)
    assert len(pieces) == 2 * 8 + 6 + 2 + 4
    for piece in pieces:
        _, person, haplotype = piece.assembly.split("-")
        wanted = letters(piece.contig)
        lift = corpus.lift(piece.species, piece.assembly, piece.contig)
        for row, (start, ref, alt) in reversed(list(enumerate(edits(wanted)))):
            if carries(row, person, int(haplotype)):
                wanted = wanted[:start] + alt + wanted[start + len(ref) :]
        assert piece.sequence.decode() == wanted
        assert lift.to_reference(0, len(wanted)) == (0, 600)
        assert lift.to_reference(len(wanted) - 1, len(wanted)) == (599, 600)
    held_out = [len(piece.sequence) for piece in pieces if piece.contig == "chr22"]
    assert corpus.manifest.bases("valid") == sum(held_out) > 8 * 580
