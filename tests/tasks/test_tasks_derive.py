"""Derived tasks on hand-made genomes: every row is where its origin says, on its strand."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from gfmp.errors import DataError, MissingInputError
from gfmp.genome.alphabet import reverse_complement
from gfmp.spec.derive import AnyDerivedSource, DerivedSource
from gfmp.tasks.derivation.windows import Window, apart, balanced, tiles
from gfmp.tasks.derive import derive, digests
from gfmp.tasks.task import Rows

LENGTH_BP = 6_000
# Gene a on +, gene b on -, 0-based exons; every intron begins with GT and ends with AG.
EXONS = {
    ("a", "+"): ((1_000, 1_100), (1_300, 1_400), (1_700, 1_900)),
    ("b", "-"): ((3_000, 3_200), (3_500, 3_900)),
}


def other_strand(sequence: bytes) -> bytes:
    return reverse_complement(np.frombuffer(sequence, np.uint8)).tobytes()


def genome(seed: int) -> bytes:
    """Random letters with GT..AG introns planted at the gaps of EXONS."""
    rng = np.random.default_rng(seed)
    letters = bytearray(b"ACGT"[i] for i in rng.integers(0, 4, LENGTH_BP))
    for (_, strand), exons in EXONS.items():
        for (_, start), (end, _) in itertools.pairwise(exons):
            first, last = (b"GT", b"AG") if strand == "+" else (b"CT", b"AC")
            letters[start : start + 2], letters[end - 2 : end] = first, last
    return bytes(letters)


def write(folder: Path, contig: str, letters: bytes, prefix: str = "") -> dict[str, Any]:
    """Write FASTA and GFF3 of one genome and return its part of a spec."""
    (folder / f"{contig}.fa").write_bytes(b">" + contig.encode() + b"\n" + letters + b"\n")
    lines = ["##gff-version 3"]
    for (name, strand), exons in EXONS.items():
        start, end, gene = exons[0][0] + 1, exons[-1][1], prefix + name
        tail = f"\t.\t{strand}\t.\t"
        lines.append(f"{contig}\tx\tgene\t{start}\t{end}{tail}ID=g{gene};Name={gene}")
        lines.append(f"{contig}\tx\tmRNA\t{start}\t{end}{tail}ID=t{gene};Parent=g{gene}")
        for kind in ("exon", "CDS"):
            parent = f"Parent=t{gene}"
            lines += [f"{contig}\tx\t{kind}\t{a + 1}\t{b}{tail}{parent}" for a, b in exons]
    (folder / f"{contig}.gff").write_text("\n".join(lines) + "\n")
    return {
        "species": f"Testus {contig}",
        "assembly": "A1",
        "format": "fasta",
        "files": ({"path": str(folder / f"{contig}.fa")},),
        "annotation": ({"path": str(folder / f"{contig}.gff")},),
    }


def source(rule: str, *genomes: dict[str, Any], **fields: object) -> AnyDerivedSource:
    adapter: TypeAdapter[AnyDerivedSource] = TypeAdapter(DerivedSource)
    return adapter.validate_python(
        {"format": "derived", "rule": rule, "genomes": genomes, **fields}
    )


def place(origin: str) -> tuple[str, int, int, str]:
    contig, span, strand = origin.rsplit(":", 2)
    start, end = span.split("-")
    return contig, int(start), int(end), strand


def check_origins(rows: Rows, contigs: dict[str, bytes]) -> None:
    """Read every row again from its origin."""
    for sequence, origin in zip(rows.sequences, rows.origins, strict=True):
        contig, start, end, strand = place(origin)
        window = contigs[contig][start:end]
        assert sequence == (window if strand == "+" else other_strand(window))


def test_known_introns_on_both_strands(tmp_path: Path) -> None:
    letters = genome(1)
    rows = derive(source("splice_sites", write(tmp_path, "c1", letters), window_bp=40))
    check_origins(rows, {"c1": letters})
    found = {(o, int(t)) for o, t in zip(rows.origins, rows.targets[:, 0], strict=True) if t < 2}
    borders = {(1_100, "+", 0), (1_300, "+", 1), (1_400, "+", 0), (1_700, "+", 1)}
    borders |= {(3_500, "-", 0), (3_200, "-", 1)}
    assert found == {(f"c1:{b - 20}-{b + 20}:{s}", label) for b, s, label in borders}
    assert Counter(rows.targets[:, 0].tolist()) == {0: 3, 1: 3, 2: 3}
    assert set(rows.groups) == {"a", "b"}


def test_the_middle_of_every_window_looks_like_its_class(tmp_path: Path) -> None:
    rows = derive(source("splice_sites", write(tmp_path, "c1", genome(2)), window_bp=40))
    for sequence, label, origin in zip(
        rows.sequences, rows.targets[:, 0].tolist(), rows.origins, strict=True
    ):
        donor_like, acceptor_like = sequence[20:22] == b"GT", sequence[18:20] == b"AG"
        assert {0: donor_like, 1: acceptor_like, 2: donor_like or acceptor_like}[label]
        _, start, end, strand = place(origin)
        spans = [(e[0][0], e[-1][1]) for (_, s), e in EXONS.items() if s == strand]
        assert any(a <= (start + end) // 2 <= b for a, b in spans)


def test_gaps_shorter_than_an_intron_are_no_introns(tmp_path: Path) -> None:
    part = write(tmp_path, "c1", genome(1))
    rows = derive(source("splice_sites", part, window_bp=40, shortest_intron_bp=250))
    borders = {
        sum(place(o)[1:3]) // 2 for o, t in zip(rows.origins, rows.targets, strict=True) if t < 2
    }
    assert borders == {1_400, 1_700, 3_200, 3_500}


def test_orthologs_share_a_locus_whatever_they_are_called(tmp_path: Path) -> None:
    first, second = genome(1), bytearray(genome(1))
    for position in range(7, LENGTH_BP, 61):
        second[position] = ord("A")
    genomes = write(tmp_path, "c1", first), write(tmp_path, "c2", bytes(second), "LOC")
    rows = derive(source("splice_sites", *genomes, window_bp=40))
    assert {o.split(":")[0] for o in rows.origins} == {"c1", "c2"}
    assert set(rows.groups) == {"a", "b"}
    stranger = write(tmp_path, "c3", genome(9), "LOC")
    apart_rows = derive(source("splice_sites", genomes[0], stranger, window_bp=40))
    assert set(apart_rows.groups) == {"a", "b", "LOCa", "LOCb"}


def test_genes_whose_windows_can_overlap_share_a_locus(tmp_path: Path) -> None:
    part = write(tmp_path, "c1", genome(1))
    rows = derive(source("splice_sites", part, window_bp=1_200))
    assert set(rows.groups) == {"a"}


def test_coding_windows_lie_in_exons_and_intergenic_ones_far_from_genes(tmp_path: Path) -> None:
    letters = genome(3)
    part = write(tmp_path, "c1", letters)
    rows = derive(source("coding_vs_intergenic", part, window_bp=50, margin_bp=100))
    check_origins(rows, {"c1": letters})
    counts = Counter(rows.targets[:, 0].tolist())
    assert counts[0] == counts[1] > 10
    for origin, label in zip(rows.origins, rows.targets[:, 0], strict=True):
        _, start, end, strand = place(origin)
        inside = [s for (_, s), exons in EXONS.items() for a, b in exons if a <= start < end <= b]
        near = any(e[0][0] - 100 < end and start < e[-1][1] + 100 for e in EXONS.values())
        assert (inside == [strand]) if label == 1 else not near


def test_features_left_out_keep_both_classes_away(tmp_path: Path) -> None:
    part = write(tmp_path, "c1", genome(3))
    with (tmp_path / "c1.gff").open("a") as table:
        table.write("c1\tx\tLTR\t3001\t6000\t.\t+\t.\tID=l\n")
    rows = derive(source("coding_vs_intergenic", part, window_bp=50, leave_out=("LTR",)))
    assert max(place(origin)[2] for origin in rows.origins) <= 3_000


def test_promoters_are_placed_by_strand_once_per_gene(tmp_path: Path) -> None:
    letters = genome(4)
    part = write(tmp_path, "c1", letters)
    with (tmp_path / "c1.gff").open("a") as table:
        table.write("c1\tx\tmRNA\t1201\t1900\t.\t+\t.\tID=t9;Parent=ga\n")
    fields = {"upstream_bp": 49, "downstream_bp": 11, "margin_bp": 500}
    rows = derive(source("promoter", part, **fields))
    check_origins(rows, {"c1": letters})
    positive = {o for o, t in zip(rows.origins, rows.targets, strict=True) if t == 1}
    assert positive == {"c1:951-1011:+", "c1:3889-3949:-"}
    for origin, label in zip(rows.origins, rows.targets, strict=True):
        _, start, end, _ = place(origin)
        assert label == 1 or all(end <= t - 500 or start > t + 500 for t in (1_000, 1_200, 3_899))
    assert sorted(rows.groups) == ["", "", "a", "b"]


def test_species_windows_stay_inside_their_stretches(tmp_path: Path) -> None:
    contigs = {"c1": genome(5), "c2": genome(6)}
    parts = []
    for label, (contig, letters) in zip(("x", "y"), contigs.items(), strict=True):
        stretches = (
            {"name": "s", "contig": contig, "start": 100, "end": 1_000 + 500 * len(parts)},
        )
        stretches += ({"name": "t", "contig": contig, "start": 3_000},)
        parts.append(write(tmp_path, contig, letters) | {"label": label, "stretches": stretches})
    rows = derive(source("species", *parts, window_bp=100))
    check_origins(rows, contigs)
    counts = Counter(zip(rows.groups, rows.targets[:, 0].tolist(), strict=True))
    assert counts == {("s", 0.0): 9, ("s", 1.0): 9, ("t", 0.0): 30, ("t", 1.0): 30}
    wrong = parts[0] | {"stretches": ({"name": "s", "contig": "c9"},)}
    with pytest.raises(DataError, match="is not there"):
        derive(source("species", wrong, window_bp=100))


def test_the_same_rows_again_and_others_with_another_seed(tmp_path: Path) -> None:
    part = write(tmp_path, "c1", genome(3))
    again = [derive(source("coding_vs_intergenic", part, window_bp=50, seed=s)) for s in (0, 0, 1)]
    assert again[0].origins == again[1].origins != again[2].origins


def test_a_window_with_n_and_a_leaking_copy_are_left_out(tmp_path: Path) -> None:
    letters = bytearray(genome(1))
    letters[1_105] = ord("N")
    letters[3_480:3_520] = other_strand(bytes(letters[1_680:1_720]))
    rows = derive(source("splice_sites", write(tmp_path, "c1", bytes(letters)), window_bp=40))
    sites = {
        sum(place(o)[1:3]) // 2 for o, t in zip(rows.origins, rows.targets, strict=True) if t < 2
    }
    assert sites == {1_300, 1_400, 3_200}


def test_files_are_compared_with_their_pins(tmp_path: Path) -> None:
    part = write(tmp_path, "c1", genome(1))
    found = digests(source("splice_sites", part))
    data = (tmp_path / "c1.fa").read_bytes()
    assert (len(found), found[0]) == (2, hashlib.sha256(data).hexdigest())
    pinned = part | {"files": ({"path": str(tmp_path / "c1.fa"), "sha256": "0" * 64},)}
    with pytest.raises(DataError, match="the file changed"):
        derive(source("splice_sites", pinned))


def test_a_missing_package_names_the_extra(tmp_path: Path) -> None:
    part = write(tmp_path, "c1", genome(1)) | {"package": "gfmp-absent==1.0", "extra": "demo-large"}
    with pytest.raises(MissingInputError, match="gfmp-absent") as caught:
        derive(source("splice_sites", part))
    assert caught.value.problems[0].fix == "pip install 'gfmp[demo-large]'"
    lost = write(tmp_path, "c1", genome(1)) | {"files": ({"path": str(tmp_path / "no.fa")},)}
    with pytest.raises(MissingInputError, match="no such file"):
        derive(source("splice_sites", lost))


def test_letters_and_features_must_belong_together(tmp_path: Path) -> None:
    one, two = write(tmp_path, "c1", genome(1)), write(tmp_path, "c2", genome(2))
    with pytest.raises(DataError, match="no feature lies on a record"):
        derive(source("splice_sites", one | {"annotation": two["annotation"]}))
    with pytest.raises(DataError, match="two genomes have a record"):
        derive(source("splice_sites", one, one))
    with (tmp_path / "c1.gff").open("a") as table:
        table.write("c1\tx\tgene\t1\t6001\t.\t+\t.\tID=l\n")
    with pytest.raises(DataError, match="ends at 6,001"):
        derive(source("splice_sites", one))


def test_a_protein_and_a_genome_without_introns_are_faults(tmp_path: Path) -> None:
    part = write(tmp_path, "c1", b"MKLV" * 2_000)
    with pytest.raises(DataError, match="is not DNA"):
        derive(source("splice_sites", part))
    part = write(tmp_path, "c2", genome(1))
    with pytest.raises(DataError, match="finds no window"):
        derive(source("splice_sites", part, shortest_intron_bp=5_000))


def test_tiles_apart_and_balanced() -> None:
    assert tiles((10, 45), 10, 3) == ((13, 23), (23, 33), (33, 43))
    assert tiles((10, 15), 10, 3) == ()
    windows = [
        Window(0, "c", s, s + 10, "+", label, "g")
        for s, label in ((0, 1), (5, 1), (10, 1), (30, 0))
    ]
    kept = apart(windows)
    assert [w.start for w in kept] == [0, 10, 30]
    assert sorted(w.label for w in balanced(kept, lambda w: w.contig, 2, 0)) == [0, 1]
    assert balanced(kept, lambda w: w.start, 2, 0) == []
