"""The `variants:` of a source: what is written, what it becomes, what is refused where."""

from __future__ import annotations

from pathlib import Path

import pytest

from gfmp.errors import MissingInputError, SpecError
from gfmp.genome.sources import IngestSettings, LocalFile, PinnedFile, Variants
from gfmp.spec.corpus import CorpusSpec, ingest_settings
from gfmp.spec.load import load_spec
from gfmp.storage.hashes import sha256_bytes

SPEC = """\
kind: corpus
name: haplotype
sources:
  - species: Prima
    assembly: P1-me-2
    format: fasta
    files: [{path: one.fa}]
    variants: RULE
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "one.fa").write_text(">c1\nACGT\n")
    (tmp_path / "x.vcf").write_bytes(b"##fileformat=VCFv4.3\n")
    return tmp_path


def made(folder: Path, text: str) -> IngestSettings:
    (folder / "h.yaml").write_text(text)
    return ingest_settings(*load_spec(folder / "h.yaml", {"corpus": CorpusSpec}))


def test_every_word_arrives(folder: Path) -> None:
    rule = "{path: x.vcf, sample: me, haplotype: 2, unusable: skip, contigs: {1: c1, 2: c2}}"
    (source,) = made(folder, SPEC.replace("RULE", rule)).sources
    digest = sha256_bytes((folder / "x.vcf").read_bytes())
    file = PinnedFile(LocalFile(str(folder / "x.vcf")), digest)
    assert source.variants == Variants(file, "me", 2, "skip", (("1", "c1"), ("2", "c2")))
    assert source.origin == f"{folder / 'one.fa'} with x.vcf (me, haplotype 2)"


def test_the_short_form_and_another_content_is_another_corpus(folder: Path) -> None:
    settings = made(folder, SPEC.replace("RULE", "{path: x.vcf}"))
    assert settings.sources[0].variants is not None
    assert settings.sources[0].variants.unusable == "error"
    (folder / "x.vcf").write_bytes(b"##fileformat=VCFv4.2\n")
    assert made(folder, SPEC.replace("RULE", "{path: x.vcf}")).fingerprint != settings.fingerprint
    whole = SPEC.replace("    variants: RULE\n", "")
    assert made(folder, whole).fingerprint != settings.fingerprint


def test_every_rule_arrives_and_samples_give_their_haplotypes(folder: Path) -> None:
    words = "indels: apply, overlaps: first, unphased: draw, seed: 4"
    rule = f"{{path: x.vcf, samples: [me, you], {words}}}"
    sources = made(folder, SPEC.replace("RULE", rule)).sources
    assert [source.assembly for source in sources] == [
        *("P1-me-2-me-1", "P1-me-2-me-2", "P1-me-2-you-1", "P1-me-2-you-2"),
    ]
    file = PinnedFile(LocalFile(str(folder / "x.vcf")), sha256_bytes(b"##fileformat=VCFv4.3\n"))
    assert sources[3].variants == Variants(
        file, "you", 2, indels="apply", overlaps="first", unphased="draw", seed=4
    )
    one = made(folder, SPEC.replace("RULE", "{path: x.vcf, samples: [me], haplotypes: [1]}"))
    assert [source.assembly for source in one.sources] == ["P1-me-2-me-1"]


def test_one_genome_may_be_both_haplotypes(folder: Path) -> None:
    first = SPEC.replace("RULE", "{path: x.vcf, sample: me}")
    source = first.split("sources:\n")[1].replace("P1-me-2", "P1-me-1")
    both = first + source.replace("sample: me", "sample: me, haplotype: 2")
    origins = [source.origin for source in made(folder, both).sources]
    assert len(set(origins)) == 2


@pytest.mark.parametrize(
    ("rule", "where", "words"),
    [
        ("{}", "8:5", "'sources.0.variants.path' is missing"),
        ("{path: x.vcf, haplotype: 2}", "8:5", "name the sample"),
        ("{path: x.vcf, sample: me, haplotype: 3}", "8:41", "less than or equal to 2"),
        ("{path: x.vcf, unusable: drop}", "8:29", "'error' or 'skip'"),
        ("{path: x.vcf, contigs: {1: c, 2: c}}", "8:5", "two contigs"),
        ("{path: x.vcf, haplotyp: 1}", "8:29", "did you mean 'haplotype'?"),
        ("{path: x.vcf, sample: a, samples: [b]}", "8:5", "exclude each other"),
        ("{path: x.vcf, samples: [a, a]}", "8:5", "samples names one of them twice"),
        ("{path: x.vcf, samples: [a], haplotypes: [1, 1]}", "8:5", "haplotypes names one"),
        ("{path: x.vcf, samples: [a], haplotypes: []}", "8:5", "which of each of the samples"),
        ("{path: x.vcf, sample: a, haplotypes: [1]}", "8:5", "name the samples"),
        ("{path: x.vcf, samples: [a], haplotypes: [3]}", "8:56", "less than or equal to 2"),
        ("{path: x.vcf, indels: left}", "8:29", "'refuse' or 'apply'"),
        ("{path: x.vcf, overlaps: last}", "8:29", "'error' or 'first'"),
        ("{path: x.vcf, unphased: draw}", "8:5", "name the sample"),
        ("{path: x.vcf, sample: a, seed: 3}", "8:5", "seed is that of unphased: draw"),
    ],
)
def test_each_mistake_is_named(folder: Path, rule: str, where: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        made(folder, SPEC.replace("RULE", rule))
    (problem,) = caught.value.problems
    assert problem.where.split(":", 1)[1] == where
    assert words in f"{problem.message} {problem.why} {problem.fix}"


def test_variants_go_with_one_file(folder: Path) -> None:
    text = SPEC.replace("RULE", "{path: x.vcf}").replace("one.fa}", "one.fa}, {path: two.fa}")
    with pytest.raises(SpecError, match="that block") as caught:
        made(folder, text)
    assert "one sequence file, and there are 2" in caught.value.problems[0].why


def test_a_missing_vcf_is_named_with_its_neighbour(folder: Path) -> None:
    with pytest.raises(MissingInputError) as caught:
        made(folder, SPEC.replace("RULE", "{path: y.vcf}"))
    (problem,) = caught.value.problems
    assert problem.where.endswith(":8:16")
    assert problem.fix == "did you mean 'x.vcf'?"
