"""The grammar of derived tasks: closed, chosen by rule, units in names."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from gfmp.spec.derive import AnyDerivedSource, DerivedSource, Promoter, Species, SpliceSites

ADAPTER: TypeAdapter[AnyDerivedSource] = TypeAdapter(DerivedSource)
GENBANK: dict[str, Any] = {
    "species": "Testus one",
    "assembly": "A1",
    "format": "genbank",
    "files": ({"path": "one.gb"},),
}
FASTA = GENBANK | {"format": "fasta", "annotation": ({"path": "one.gff"},)}
STRETCH = {"name": "a", "contig": "c", "start": 0, "end": 90}


def source(rule: str, *genomes: dict[str, Any], **fields: object) -> AnyDerivedSource:
    return ADAPTER.validate_python(
        {"format": "derived", "rule": rule, "genomes": genomes or (GENBANK,), **fields}
    )


def test_the_rule_chooses_the_model_and_its_classes() -> None:
    assert source("coding_vs_intergenic").class_names == ("intergenic", "coding")
    splice = source("splice_sites", FASTA)
    assert isinstance(splice, SpliceSites)
    assert (splice.window_bp, splice.class_names) == (400, ("donor", "acceptor", "decoy"))
    promoter = source("promoter", FASTA)
    assert isinstance(promoter, Promoter)
    assert promoter.upstream_bp + promoter.downstream_bp == 300
    assert promoter.class_names == ("other", "promoter")


def test_labels_of_genomes_are_the_classes_of_species() -> None:
    labelled = [GENBANK | {"label": name, "stretches": (STRETCH,)} for name in ("b", "a", "b")]
    found = source("species", *labelled)
    assert isinstance(found, Species)
    assert found.class_names == ("b", "a")


@pytest.mark.parametrize(
    ("rule", "genome", "fields", "message"),
    [
        ("splice", GENBANK, {}, "does not match any of the expected tags"),
        ("splice_sites", GENBANK, {"window_bp": 401}, "multiple of 2"),
        ("splice_sites", GENBANK, {"window": 400}, "Extra inputs"),
        ("splice_sites", GENBANK, {"ortholog_word_bp": 32}, "less than or equal to 31"),
        ("promoter", FASTA | {"annotation": ()}, {}, "has no annotation"),
        ("promoter", GENBANK | {"annotation": ({"path": "x"},)}, {}, "carry their features"),
        ("promoter", GENBANK | {"archive": "x.zip"}, {}, "no package is given"),
        ("species", GENBANK, {}, "needs label and stretches"),
        ("species", GENBANK | {"label": "a"}, {}, "needs label and stretches"),
    ],
)
def test_what_is_not_allowed(
    rule: str, genome: dict[str, Any], fields: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        source(rule, genome, **fields)
