"""A variant-effect spec: short forms, names of scores, rules that hold before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from gfmp.errors import SpecError
from gfmp.spec.load import load_spec
from gfmp.spec.variant_effect import DISTANCES, VariantEffectSpec, scorer_name

JOB = """\
kind: variant_effect
name: x
variants: v.vcf
reference: r.fa
scorers:
  - {kind: likelihood, model: demo, vocabulary: bpe4096-cds}
  - {kind: embedding, model: demo, vocabulary: kmer6}
  - {kind: profile, model: marks}
"""


def loaded(folder: Path, text: str) -> VariantEffectSpec:
    path = folder / "job.yaml"
    path.write_text(text)
    return load_spec(path, {"variant_effect": VariantEffectSpec})[0]


def refused(folder: Path, text: str) -> str:
    with pytest.raises(SpecError) as caught:
        loaded(folder, text)
    return " ".join(f"{p.where} {p.message} {p.why}" for p in caught.value.problems)


def test_paths_alone_are_enough_and_the_rest_has_defaults(tmp_path: Path) -> None:
    spec = loaded(tmp_path, JOB)
    assert (spec.variants.path, spec.variants.unusable, spec.reference.path) == (
        *("v.vcf", "error"),
        "r.fa",
    )
    assert (spec.window_bp, spec.strands, spec.score_every, spec.head) == (512, "both", 1, None)
    assert [scorer_name(s) for s in spec.scorers] == [
        *("llr_bpe4096_cds", "embedding_kmer6", "profile"),
    ]
    assert spec.scorers[1].distances == DISTANCES  # type: ignore[union-attr]
    long = JOB.replace("variants: v.vcf", "variants: {path: v.vcf, contigs: {chr1: '1'}}")
    assert loaded(tmp_path, long).variants.contigs == {"chr1": "1"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("window_bp: 4\n", "job.yaml:9:1 window_bp: 4"),
        ("windows_bp: 4\n", "unknown key 'windows_bp'"),
        ("strands: reverse\n", "strands: 'reverse'"),
        ("score_every: 0\n", "score_every: 0"),
        ("head: {scorer: embedding_kmer6}\n", "say where they are in `measured`"),
        ("measured: {field: EF}\nhead: {scorer: profil}\n", "known: embedding_kmer6, profile"),
        ("measured: {field: EF}\nhead: {scorer: llr_bpe4096_cds}\n", "has no features"),
        ("measured: {field: EF}\nhead: {scorer: profile, folds: 1}\n", "folds: 1"),
    ],
)
def test_rules_are_told_at_their_place(tmp_path: Path, change: str, words: str) -> None:
    assert words in refused(tmp_path, JOB + change)


def test_two_scorers_of_one_name_are_refused(tmp_path: Path) -> None:
    twice = JOB + "  - {kind: profile, model: other}\n"
    assert "two scorers are called profile" in refused(tmp_path, twice)
    assert loaded(tmp_path, twice.replace("other}", "other, name: second}"))


def test_a_scorer_of_no_kind_lists_those_that_exist(tmp_path: Path) -> None:
    found = refused(tmp_path, JOB.replace("kind: profile", "kind: profiel"))
    assert "likelihood" in found and "embedding" in found
