"""Models that read features beside the sequence are not asked where only sequences are known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ask_samples import write_fasta
from inference_samples import CPU, PROFILE, World, finetuned_run, random_dna

import gfmp
from gfmp.errors import CorruptArtefactError, GfmpError, RefusedError
from gfmp.inference.found import find
from gfmp.inference.motif_inputs import look_up as look_up_motifs
from gfmp.inference.names import look_up
from gfmp.inference.origins import Asked as AskedToExport
from gfmp.inference.origins import find_trained
from gfmp.inference.questions import Asked, predict_question
from gfmp.inference.row_files import RowFile
from gfmp.inference.rows import Cut
from gfmp.inference.sequence_only import check_sequence_only, features_of
from gfmp.spec.load import validate
from gfmp.spec.motifs import MotifsSpec
from gfmp.spec.variant_effect import VariantEffectSpec
from gfmp.storage.documents import load_document

FEATURES = ("GATA1", "HNF4A")
TOLD = "the model reads 2 features beside the sequence, such as 'GATA1'"


@pytest.fixture
def tissues(world: World) -> World:
    """A world with a model that reads the expression of two factors too."""
    finetuned_run(world.workspace, features=FEATURES)
    return world


def test_who_reads_sequences_only_is_not_refused() -> None:
    check_sequence_only((), Path("models/x"))
    assert features_of({"mean": []}) == ()
    assert features_of({"features": list(FEATURES)}) == FEATURES


def test_a_model_in_python_refuses_to_predict_and_still_embeds(tissues: World) -> None:
    model = gfmp.load("tissues", workspace=tissues.workspace.root)
    texts = [random_dna(40, 1), random_dna(30, 2)]
    with pytest.raises(RefusedError) as raised:
        model.predict(texts)
    (problem,) = raised.value.problems
    assert problem.message == TOLD and "models" in problem.where
    assert "no tissue or cell type" in problem.why and "`context`" in problem.fix
    plain = gfmp.load("marks", workspace=tissues.workspace.root)
    assert np.array_equal(model.embed(texts), plain.embed(texts))
    one, other = model.attend(texts), plain.attend(texts)
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_model_in_python_refuses_variants(tissues: World) -> None:
    tissues.document(tissues.row("chr1", 100))
    model = gfmp.load("tissues", workspace=tissues.workspace.root)
    with pytest.raises(RefusedError, match=TOLD):
        model.score_variants(tissues.folder / "v.vcf", tissues.folder / "ref.fa", window_bp=64)


def test_a_file_is_refused_before_it_is_read(tissues: World, tmp_path: Path) -> None:
    fasta = write_fasta(tmp_path / "x.fa", [random_dna(40, 1).encode()])
    found = find("tissues", tissues.workspace)
    assert found.features == FEATURES and found.target is not None
    asked = Asked(found, RowFile.of(fasta), Cut(0, 0, 3, 1_000), "cpu")
    with pytest.raises(RefusedError, match=TOLD):
        predict_question(asked, calibrated=True)


def test_a_plan_of_variants_refuses_it(tissues: World) -> None:
    scorers = [{**PROFILE, "model": "tissues"}]
    document = tissues.document(tissues.row("chr1", 100), scorers=scorers)
    with pytest.raises(RefusedError, match=TOLD):
        look_up(validate(document, VariantEffectSpec), document, tissues.workspace)


def test_a_plan_of_motifs_refuses_it(tissues: World) -> None:
    path = tissues.folder / "motifs.yaml"
    path.write_text(json.dumps({"kind": "motifs", "name": "x", "model": "tissues", "library": ""}))
    document = load_document(path)
    with pytest.raises(RefusedError, match=TOLD):
        look_up_motifs(validate(document, MotifsSpec), document, tissues.workspace)


def test_an_export_refuses_it(tissues: World) -> None:
    with pytest.raises(RefusedError, match=TOLD):
        find_trained(AskedToExport("tissues"), tissues.workspace, CPU)


@pytest.mark.parametrize("features", [3, [1, 2], {"a": 1}])
def test_features_that_are_no_names_are_damage(tissues: World, features: object) -> None:
    path = next(tissues.workspace.runs.glob("tissues-*/models/*/model.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), "features": features}))
    scorers = [{**PROFILE, "model": "tissues"}]
    document = tissues.document(tissues.row("chr1", 100), scorers=scorers)
    for ask in (
        lambda: find("tissues", tissues.workspace),
        lambda: look_up(validate(document, VariantEffectSpec), document, tissues.workspace),
    ):
        with pytest.raises(GfmpError) as raised:
            ask()
        assert isinstance(raised.value, CorruptArtefactError)
