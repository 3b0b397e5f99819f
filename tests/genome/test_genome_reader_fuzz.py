"""Readers against whatever bytes a file may hold: records come back, or an error says where."""

from __future__ import annotations

import gzip
import io
import itertools
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest
from genome_samples import contigs, fasta_text, genbank_text, local, part_of, random_dna, stream
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gfmp.errors import DataError
from gfmp.genome.alphabet import AlphabetPolicy
from gfmp.genome.blocks import BLOCK_BYTES, Block
from gfmp.genome.fasta import read_fasta
from gfmp.genome.genbank import read_genbank
from gfmp.genome.inflate import chunks
from gfmp.genome.ingest import ingest_source
from gfmp.genome.sources import IngestSettings

Reader = Callable[[IO[bytes], str], Iterator[Block]]
READERS: dict[str, Reader] = {"fasta": read_fasta, "genbank": read_genbank}
GENBANK = genbank_text("AB1", random_dna(130, 1)) + genbank_text("AB2", random_dna(61, 2))
FASTA = fasta_text([("one", random_dna(130, 3)), ("two", random_dna(61, 4))])
LINES = st.lists(
    st.sampled_from(
        [
            b">a",
            b">b some words",
            b">",
            b" >c",
            b"ACGTN",
            b"acgtn acgtn",
            b"LOCUS       X   4 bp    DNA",
            b"LOCUS",
            b"VERSION     X.1",
            b"ACCESSION",
            b"ORIGIN",
            b"        1 acgt",
            b"//",
            b"",
            b"\xff\x00",
        ]
    ),
    max_size=12,
)
TEXTS = st.tuples(LINES, st.sampled_from([b"\n", b"\r\n", b"\r"])).map(lambda t: t[1].join(t[0]))


def read_or_fault(reader: Reader, data: bytes) -> dict[str, str] | DataError:
    """Read everything; every other exception than DataError fails the test."""
    joined: dict[str, str] = {}
    try:
        for block in reader(stream(data), "x.file"):
            joined[block.contig] = joined.get(block.contig, "") + block.bases.decode("latin-1")
    except DataError as fault:
        (problem,) = fault.problems
        assert problem.where.partition(":")[0] == "x.file"
        assert problem.message and problem.why and problem.fix
        return fault
    return joined


@pytest.mark.parametrize("kind", READERS)
@given(data=st.one_of(st.binary(max_size=200), TEXTS))
@example(data=b"\xef\xbb\xbf")
@example(data=b"\x1f\x8b")
@example(data=b"\x1f\x8b\x08\x00" + bytes(40))
@example(data=b" LOCUS       X\nnothing else\n")
@settings(deadline=None, max_examples=120)
def test_any_bytes_give_records_or_a_fault_with_its_place(kind: str, data: bytes) -> None:
    found = read_or_fault(READERS[kind], data)
    assert found, "a file without a record is refused, not passed over"
    if isinstance(found, dict):
        assert all(found.values()), "every record holds letters"


@pytest.mark.parametrize("policy", [AlphabetPolicy(), AlphabetPolicy(iupac="error", uracil="t")])
@given(data=st.one_of(st.binary(max_size=80).map(lambda b: b">a\n" + b), TEXTS))
@settings(deadline=None, max_examples=60)
def test_any_file_is_ingested_as_dna_or_refused(
    tmp_path_factory: pytest.TempPathFactory, policy: AlphabetPolicy, data: bytes
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    path = folder / "x.fa"
    path.write_bytes(data)
    try:
        report = ingest_source(local(path), 0, IngestSettings("s", policy, shortest_bp=1), folder)
    except DataError as fault:
        assert all(p.where.startswith(str(path)) for p in fault.problems)
        return
    entries = part_of(folder)
    assert entries and all(entry.name for entry in entries)
    counts = report.source.alphabet
    letters = counts.upper + counts.soft_masked + counts.n + counts.uracil + sum(counts.iupac)
    assert letters == report.source.contigs.length_bp == sum(c.length_bp for c in entries)


@pytest.mark.parametrize(("kind", "data"), [("fasta", FASTA), ("genbank", GENBANK)])
def test_a_text_cut_anywhere_gives_whole_records_or_a_fault(kind: str, data: bytes) -> None:
    whole = contigs(READERS[kind](stream(data), "x.file"))
    for cut in range(len(data)):
        found = read_or_fault(READERS[kind], data[:cut])
        if isinstance(found, DataError):
            continue
        if kind == "genbank":
            # A record counts its letters, so whatever comes back is complete.
            assert found.items() <= whole.items()
        else:
            assert list(found) == list(whole)[: len(found)] or list(found)[-1] in "onetwo"
            assert all(whole.get(n, text).startswith(text) for n, text in found.items())


@pytest.mark.parametrize(("kind", "data"), [("fasta", FASTA), ("genbank", GENBANK)])
def test_a_gzip_cut_anywhere_is_never_taken_for_whole(kind: str, data: bytes) -> None:
    packed = gzip.compress(data, mtime=0)
    order = list(contigs(READERS[kind](stream(data), "x.file")))
    for cut in range(1, len(packed)):
        found = read_or_fault(READERS[kind], packed[:cut])
        assert isinstance(found, DataError), f"cut at {cut}"
        problem = found.problems[0]
        # So little may inflate that the first keyword is not whole; then the format is in doubt.
        if not problem.message.startswith("this is not"):
            assert f"ends early, after {cut:,} bytes" in problem.message
            names = [f"the last complete record is {name!r}" for name in order]
            assert problem.why in ["no record is complete", *names]


@given(cuts=st.lists(st.integers(0, len(FASTA)), max_size=5), padding=st.integers(0, 3))
@settings(deadline=None, max_examples=40)
def test_gzip_members_may_begin_anywhere_behind_the_first_letter(
    cuts: list[int], padding: int
) -> None:
    borders = [0, *sorted(max(1, cut) for cut in cuts), len(FASTA)]
    members = [gzip.compress(FASTA[a:b]) for a, b in itertools.pairwise(borders)]
    packed = b"".join(members) + bytes(padding)
    assert b"".join(chunks(stream(packed), "x")) == FASTA
    assert contigs(read_fasta(stream(packed), "x")) == contigs(read_fasta(stream(FASTA), "x"))


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_headers_and_letters_meet_block_borders(extra: int) -> None:
    letters = "A" * (BLOCK_BYTES - len(">a\n") + extra)
    data = f">a\n{letters}\n>b\nCG\n".encode()
    assert contigs(read_fasta(stream(data), "x")) == {"a": letters, "b": "CG"}
    for head in range(1, 4):
        # The second header is divided by the chunk border.
        first = "A" * (BLOCK_BYTES - len(">a\n\n") - head)
        data = f">a\n{first}\n>bcd\nCG\n".encode()
        assert contigs(read_fasta(stream(data), "x")) == {"a": first, "bcd": "CG"}


def test_blocks_of_a_contig_say_where_they_begin() -> None:
    letters = random_dna(3 * BLOCK_BYTES, 9)
    data = fasta_text([("a", letters)], width=61)
    lines = data.split(b"\n")
    blocks = list(read_fasta(stream(data), "x.fa"))
    assert len(blocks) > 3 and all(len(block.raw) <= BLOCK_BYTES for block in blocks)
    for block in blocks:
        line, column = map(int, block.locate(0).split(":")[1:])
        assert lines[line - 1][column - 1] == block.bases[0]


def test_a_refused_letter_is_placed_behind_a_block_border(tmp_path: Path) -> None:
    rows = ["A" * 100] * (2 * BLOCK_BYTES // 100)
    rows[-3] = "A" * 41 + "!" + "A" * 58
    path = tmp_path / "x.fa"
    path.write_text(">a\n" + "\n".join(rows) + "\n")
    with pytest.raises(DataError, match="record 'a' holds '!'") as caught:
        ingest_source(local(path), 0, IngestSettings("s"), tmp_path)
    assert caught.value.problems[0].where == f"{path}:{len(rows) - 1}:42"


@pytest.mark.parametrize("wbits", [-15, 15])
def test_bare_deflate_and_zlib_are_not_gzip(wbits: int) -> None:
    packer = zlib.compressobj(wbits=wbits)
    packed = packer.compress(FASTA) + packer.flush()
    found = read_or_fault(read_fasta, packed)
    assert isinstance(found, DataError)
    assert "this is not FASTA" in found.problems[0].message


@given(
    letters=st.lists(st.text("acgtn", min_size=1, max_size=130), min_size=1, max_size=4),
    end=st.sampled_from([b"\n", b"\r\n"]),
)
@settings(deadline=None, max_examples=40)
def test_genbank_and_fasta_of_one_content_agree(letters: list[str], end: bytes) -> None:
    records = [(f"AB{i}", text) for i, text in enumerate(letters)]
    flat = b"".join(genbank_text(n, t) for n, t in records).replace(b"\n", end)
    fasta = fasta_text([(f"{n}.2", t) for n, t in records])
    expected = contigs(read_fasta(stream(fasta), "x.fa"))
    assert contigs(read_genbank(stream(flat), "x.gb")) == expected
    assert contigs(read_genbank(io.BytesIO(b"\xef\xbb\xbf" + flat), "x.gb")) == expected


@given(runs=st.lists(st.tuples(st.sampled_from("ACGTn"), st.integers(1, 70)), min_size=1))
@settings(deadline=None, max_examples=40)
def test_the_books_balance_for_any_pattern_of_n(
    tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("sums")
    text = "".join(letter * count for letter, count in runs)
    path = folder / "x.fa"
    path.write_bytes(fasta_text([("a", text)]))
    policy = AlphabetPolicy(split_n_run_bp=10)
    plan = IngestSettings("s", policy, piece_bp=40, halo_bp=15, shortest_bp=5)
    ingest_source(local(path), 0, plan, folder)
    (contig,) = part_of(folder)
    gaps = [g for g in "".join("N" if c == "n" else "." for c in text).split(".") if len(g) >= 10]
    assert contig.gap_bp == sum(map(len, gaps))
    assert contig.train_bp + contig.gap_bp + contig.short_bp == contig.length_bp == len(text)
    longer = replace(plan, policy=AlphabetPolicy(split_n_run_bp=10_000), shortest_bp=1)
    ingest_source(local(path), 0, longer, folder)
    (joined,) = part_of(folder)
    assert (joined.train_bp, joined.gap_bp, joined.short_bp) == (len(text), 0, 0)
    assert joined.letters_sha256 == contig.letters_sha256
