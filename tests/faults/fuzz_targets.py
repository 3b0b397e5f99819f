"""Everything that reads a file of a person: its reader, good files, words of its grammar."""

from __future__ import annotations

import functools
import io
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import tokenizers

from gfmp.genome.alphabet import AlphabetPolicy
from gfmp.genome.annotation_genbank import read_genbank_features
from gfmp.genome.annotation_gff import read_gff
from gfmp.genome.bed import read_bed
from gfmp.genome.blocks import Block
from gfmp.genome.fasta import read_fasta
from gfmp.genome.genbank import read_genbank
from gfmp.genome.haplotypes import substituted
from gfmp.genome.ingest import build_corpus
from gfmp.genome.locations import LocalFile, open_location
from gfmp.genome.parquet import Columns, read_parquet
from gfmp.genome.selection import PinnedFile
from gfmp.genome.sources import IngestSettings, Source
from gfmp.genome.variants import VariantCounts, Variants
from gfmp.genome.vcf import VcfFile
from gfmp.spec.corpus import CorpusSpec, ingest_settings
from gfmp.spec.load import load_spec, validate
from gfmp.spec.pretrain import PretrainSpec
from gfmp.spec.sweep import SweepSpec
from gfmp.storage.documents import document_text, parse_document
from gfmp.tasks.tables import read_parquet_table, read_table
from gfmp.vocabulary.recipes import load_recipe
from gfmp.vocabulary.registry import FamilyRegistry


@dataclass(frozen=True)
class Target:
    """A reader under fire.

    Attributes:
        name: In the table of results.
        read: Reads these bytes as its file, to the end.
        seeds: Good files.
        words: Bytes that mean something to it.
    """

    name: str
    read: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...]


DNA = "ACGTTGCAAGGTNNACGT"
FASTA = f">a first\n{DNA}\n{DNA.lower()}\n>b\n{DNA}\n".encode()
GENBANK = b"""LOCUS       X1   12 bp    DNA     linear   BCT 01-JAN-2020
VERSION     X1.2
FEATURES             Location/Qualifiers
     CDS             complement(join(1..4,6..9))
                     /gene="g"
                     /pseudo
ORIGIN
        1 acgtnacgta cg
//
"""
GFF = (
    b"##gff-version 3\n##sequence-region a 1 40\na\tx\tgene\t2\t30\t.\t+\t.\tID=g;Name=n%20m\n"
    b"a\tx\tCDS\t2\t9\t0.5\t-\t0\tParent=g\n###\n##FASTA\n>a\nACGT\n"
)
BED = b"track name=x\nchr1\t0\t7\tn\nchr2 12 13\n"
VCF = (
    b"##fileformat=VCFv4.3\n##contig=<ID=a,length=36>\n"
    b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ts\n"
    b"a\t1\t.\tA\tC\t9\tPASS\t.\tGT\t0|1\na\t3\t.\tGT\tAA\t.\t.\t.\tGT\t1\n"
    b"a\t9\t.\tA\t<DEL>\t.\tPASS\t.\tGT\t0/0\nb\t2\t.\tC\tT,G\t.\tq\t.\tGT\t2|1\n"
)
LAYOUT = (b"\n", b"\r\n", b"\r", b"\t", b" ", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"")
JOB = b"""kind: pretrain
name: small
corpus: demo
vocabularies: [{name: kmer6, weight: 1.5}]
model: {layers: 2, width: 32, heads: 2, intermediate: 64}
steps: 10
sampling: {global_batch_sequences: 8}
optimiser: {learning_rate: 1e-3}
masking: {law: spans}
"""
SWEEP = b"""kind: sweep
name: s
tasks: [t, u]
vocabularies: [bpe4096, [bpe4096, kmer6]]
label_fractions: [0.01, 1.0]
seeds: [0, 1]
arms: [{learner: kmer}]
"""
CORPUS = b"""kind: corpus
name: c
alphabet: {iupac: n}
sources:
  - species: S
    assembly: A
    format: fasta
    files: [{path: one.fa}]
    valid: [{contig: a, start: 1, end: 5}]
    variants: {path: v.vcf, contigs: {1: a}}
"""
YAML_WORDS = (
    *LAYOUT,
    *b"&x |*x |!!int |--- |... |- |: |? |{|}|[|]|,|#|%|'|\"|>-|1e-4|.nan|0x_|010|no|~|<<".split(
        b"|"
    ),
    b"sources",
    b"kind: corpus\n",
    b"steps",
)


def _read_all(read: Callable[..., Iterable[object]], data: bytes) -> None:
    for one in read(io.BytesIO(data), "x"):
        assert not isinstance(one, Block) or one.bases


def _vcf(data: bytes) -> None:
    for record in VcfFile(io.BytesIO(data), "x", "s").records():
        assert record.ref


@functools.cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="gfmp-fuzz-files-"))


def _written(name: str, data: bytes) -> Path:
    path = _folder() / name
    path.write_bytes(data)
    return path


def _haplotype(data: bytes) -> None:
    file = PinnedFile(LocalFile(str(_written("v.vcf", data))))
    before = {b.contig: b.bases for b in read_fasta(io.BytesIO(FASTA), "x")}
    rule = Variants(file, "s", 2, "skip")
    made = substituted(read_fasta(io.BytesIO(FASTA), "x"), rule, VariantCounts())
    assert {b.contig: len(b.bases) for b in made} == {n: len(b) for n, b in before.items()}


def _corpus(data: bytes) -> None:
    """Build a whole corpus: what comes out accounts for every letter, or nothing does."""
    source = Source("S", "A", "fasta", LocalFile(str(_written("one.fa", data))))
    policy = AlphabetPolicy(uracil="t", split_n_run_bp=2)
    settings = IngestSettings("c", policy, (source,), piece_bp=9, halo_bp=3, shortest_bp=1)
    with tempfile.TemporaryDirectory(dir=_folder()) as folder:
        corpus = build_corpus(settings, Path(folder) / "c")
        for group in corpus.row_groups("train"):
            assert all(row.sequence for row in corpus.read(group))


def _archive(data: bytes) -> None:
    with open_location(LocalFile(str(_written("one.zip", data)), "a.fa")) as stream:
        _read_all(read_fasta, stream.read(1 << 24))


def _parquet(data: bytes) -> None:
    for block in read_parquet(_written("one.parquet", data), Columns("sequence", "name")):
        assert block.bases


def _yaml(data: bytes) -> None:
    document = parse_document(data.decode("utf-8", "replace"), Path("x.yaml"))
    again = parse_document(document_text(document), Path("x.yaml"))
    assert repr(again.value) == repr(document.value) or set(again.value) == set(document.value)


def _spec(data: bytes) -> None:
    path = _written("spec.yaml", data)
    kinds = {"pretrain": PretrainSpec, "sweep": SweepSpec, "corpus": CorpusSpec}
    spec, document = load_spec(path, kinds)  # type: ignore[type-var] # three kinds at once
    assert validate(document, type(spec)) == spec
    if isinstance(spec, CorpusSpec):
        ingest_settings(spec, document)


def _recipe(data: bytes) -> None:
    load_recipe(_written("mine.yaml", data))


@functools.cache
def _families() -> FamilyRegistry:
    return FamilyRegistry.discover()


def _tokenizer(name: str, data: bytes) -> None:
    vocabulary = _families().import_file(_written(name, data), "mine")
    tokenizer = _families().tokenizer(vocabulary)
    encoded = tokenizer.encode([DNA.encode() * 3])
    assert encoded.ids.size


def _csv(data: bytes) -> None:
    read_table(_written("t.csv", data), ["sequence", "label"], ",")


def _task_parquet(data: bytes) -> None:
    read_parquet_table(_written("t.parquet", data), ["sequence", "name"])


def _packed() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.fa", FASTA)
    return buffer.getvalue()


def _as_parquet() -> bytes:
    buffer = io.BytesIO()
    rows = pa.table({"name": ["a", "b"], "sequence": [DNA, DNA.lower()]})
    pq.write_table(rows, buffer, write_page_checksum=True)
    return buffer.getvalue()


def _tokenizer_json() -> bytes:
    vocab = {word: i for i, word in enumerate(["[UNK]", *"ACGT", "AC", "GT", "ACGT"])}
    merges = [("A", "C"), ("G", "T"), ("AC", "GT")]
    model = tokenizers.models.BPE(vocab=vocab, merges=merges, unk_token="[UNK]")
    return tokenizers.Tokenizer(model).to_str().encode()


def _seeds(*seeds: bytes) -> tuple[bytes, ...]:
    return (*seeds, b"")


_SEQUENCE = (*LAYOUT, b">", b"\n>c\n", b"[MASK]", b"U", b"N" * 60, b"\n>a\n", b"-", b"*")
_FLAT = (*LAYOUT, b"LOCUS", b"//\n", b"ORIGIN\n", b"VERSION", b"join(", b")", b"..", b"complement(")
_FIELDS = (*LAYOUT, b"GT", b"0|1", b"1/2", b".", b"<DEL>", b"*", b",", b"0", b"-1", b"99999999999")
_JSON = (*LAYOUT, b"{", b"}", b"[", b"]", b",", b"null", b"1e999", b'"', b"-1", b'"merges"', b"T")

TARGETS = (
    Target("fasta", functools.partial(_read_all, read_fasta), _seeds(FASTA), _SEQUENCE),
    Target("genbank", functools.partial(_read_all, read_genbank), _seeds(GENBANK), _FLAT),
    Target("corpus", _corpus, _seeds(FASTA), _SEQUENCE),
    Target("archive", _archive, _seeds(_packed()), (*LAYOUT, b"PK\x03\x04", b"PK\x01\x02")),
    Target("parquet", _parquet, _seeds(_as_parquet()), (*LAYOUT, b"PAR1")),
    Target("vcf", _vcf, _seeds(VCF), _FIELDS),
    Target("haplotype", _haplotype, _seeds(VCF), (*_FIELDS, b"a\t", b"b\t", b"ACG")),
    Target("gff", functools.partial(_read_all, read_gff), _seeds(GFF), (*_FIELDS, b"%", b"ID=")),
    Target("features", functools.partial(_read_all, read_genbank_features), (GENBANK,), _FLAT),
    Target("bed", functools.partial(_read_all, read_bed), _seeds(BED), _FIELDS),
    Target("yaml", _yaml, _seeds(JOB, CORPUS, SWEEP), YAML_WORDS),
    Target("spec", _spec, _seeds(JOB, CORPUS, SWEEP), YAML_WORDS),
    Target("recipe", _recipe, _seeds(b"name: mine\nfamily: kmer\nsettings: {k: 3}\n"), YAML_WORDS),
    Target(
        "tokenizer",
        functools.partial(_tokenizer, "tokenizer.json"),
        _seeds(_tokenizer_json()),
        _JSON,
    ),
    Target(
        "vocab.txt",
        functools.partial(_tokenizer, "vocab.txt"),
        _seeds("\n".join(["[UNK]", "[CLS]", *(a + b for a in "ACGT" for b in "ACGT")]).encode()),
        (*LAYOUT, b"A\n", b"AA\n", b"N\n", b"[MASK]\n"),
    ),
    Target("csv", _csv, _seeds(b"sequence,label\nACGT,1\nAC,0\n"), (*LAYOUT, b",", b'"', b"label")),
    Target("table", _task_parquet, _seeds(_as_parquet()), (*LAYOUT, b"PAR1")),
)
