"""`gfmp.load`: what a person asks a trained model from Python."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ask_samples import OVERCONFIDENT, finetuned_calls, sequences
from inference_samples import COLUMNS, CPU, LIKELIHOODS, PROFILE, World

import gfmp
from gfmp.errors import DataError, GfmpError, MissingInputError, UsageError
from gfmp.inference import trained
from gfmp.inference.found import find
from gfmp.learners.finetuned import load as load_finetuned
from gfmp.learners.initial import from_pretrained
from gfmp.ledger.store import RunStore
from gfmp.training.pretrained import find_pretrained
from gfmp.vocabulary.registry import FamilyRegistry

TEXTS = sequences(9, 21)


@pytest.fixture
def asked(world: World) -> World:
    finetuned_calls(world)
    return world


def model(world: World, name: str) -> gfmp.TrainedModel:
    return gfmp.load(name, workspace=world.workspace.root, device="cpu")


def test_every_example_in_the_documentation_is_true(asked: World) -> None:
    rows = [asked.row("chr1", 100), asked.row("chr1", 250), asked.row("chr2", 40)]
    vcf = asked.folder / "v.vcf"
    vcf.write_text("##fileformat=VCFv4.3\n" + COLUMNS + "".join(rows))
    names = {
        "WORKSPACE": str(asked.workspace.root),
        "PRETRAINED": "tiny",
        "FINETUNED": "calls",
        "VCF": vcf,
        "REFERENCE": asked.folder / "ref.fa",
        "gfmp": gfmp,
    }
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    found = doctest.testmod(trained, extraglobs=names, optionflags=flags)
    assert found.attempted >= 20 and not found.failed


def test_every_public_name_has_an_example() -> None:
    public = [
        value
        for name, value in vars(trained.TrainedModel).items()
        if not name.startswith("_") and (callable(value) or isinstance(value, property))
    ]
    assert len(public) >= 10
    assert all(">>>" in (value.__doc__ or "") for value in (*public, trained.load))


def test_importing_gfmp_loads_nothing() -> None:
    script = (
        "import sys; import gfmp; dir(gfmp);"
        "print({'torch', 'numpy', 'pyarrow', 'ray'} & set(sys.modules));"
        "gfmp.load; print('torch' in sys.modules, 'ray' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.split("\n")[:2] == ["set()", "True False"], done.stderr
    with pytest.raises(AttributeError, match="lod"):
        _ = gfmp.lod  # type: ignore[attr-defined]  # what the test is about


def test_predictions_are_those_of_the_head(asked: World) -> None:
    said = model(asked, "calls").predict([text.decode().lower() for text in TEXTS])
    made = load_finetuned(find("calls", asked.workspace).folder, CPU)
    alone = []
    from gfmp.inference.attribution_rows import RowReader

    for text in TEXTS:
        rows = RowReader(made).read([text])
        with torch.inference_mode():
            packed = rows.views.pack(np.arange(1), CPU.device)
            alone.append(made.objective.predictions(made.model(packed))[0])
    np.testing.assert_allclose(said.values, alone, atol=1e-5)
    best = [said.names[i] for i in np.argmax(alone, axis=1)]
    assert list(said.predicted) == best and said.calibration is not None
    assert abs(said.calibration.temperature / OVERCONFIDENT - 1) < 0.25
    assert said.calibration.calibrated_error < said.calibration.error
    softer = (said.confidence <= said.values.max(axis=1) + 1e-6).all()
    assert softer and (said.confidence > 0.5 - 1e-6).all()


def test_a_calibration_is_fitted_once(asked: World) -> None:
    first = model(asked, "calls").predict(TEXTS[:1]).calibration
    (kept,) = asked.workspace.calibrations.glob("*.json")
    written = kept.stat().st_mtime_ns
    assert model(asked, "calls").predict(TEXTS[:1]).calibration == first
    assert kept.stat().st_mtime_ns == written
    kept.write_text(kept.read_text().replace('"temperature": ', '"temperature": 1'))
    with pytest.raises(GfmpError, match="calibration cannot be read"):
        model(asked, "calls").predict(TEXTS[:1])


def test_intervals_of_values_hold_nine_of_ten(asked: World) -> None:
    finetuned_calls(asked, "regression")
    said = model(asked, "levels").predict(TEXTS)
    low, high = said.interval
    assert said.calibration is not None and said.predicted == ()
    # Nine of ten of a Gaussian of one unit lie within 1.645 of its mean.
    assert abs(said.calibration.half_width[0] - 1.645) < 0.2
    assert ((low < said.values) & (said.values < high)).all()
    assert np.array_equal(said.calibrated, said.values)


def test_what_cannot_be_calibrated_is_still_predicted(world: World) -> None:
    marks = model(world, "marks")  # its task is in no workspace
    with pytest.raises(MissingInputError) as caught:
        marks.predict(TEXTS)
    assert "calibrated=False" in caught.value.problems[0].fix
    said = marks.predict(TEXTS, calibrated=False)
    assert said.values.shape == (9, 5) and said.calibration is None


def test_embeddings_are_means_of_the_encoders_states(world: World) -> None:
    tiny = model(world, "tiny")
    initial = from_pretrained(find_pretrained("tiny", world.workspace))
    encoder, vocabulary = initial.encoder(0), initial.ensemble.vocabularies[0]
    tokenizer = FamilyRegistry.discover().tokenizer(vocabulary)
    pooled = tiny.embed(list(TEXTS), vocabulary="kmer3")
    per_base = tiny.embed_along(list(TEXTS), vocabulary="kmer3")
    for place, text in enumerate(TEXTS):
        from gfmp.inference.masked import packer
        from gfmp.inference.texts import split_tokens

        encoded = tokenizer.encode([text])
        packed = packer(initial, vocabulary).pack(split_tokens(encoded), np.arange(1), CPU.device)
        with torch.inference_mode():
            words = encoder(packed.ids_T, packed.packing)[2:-1].numpy()
        np.testing.assert_allclose(pooled[place], words.mean(0), atol=1e-5)
        for base in range(len(text)):
            covering = (encoded.starts <= base) & (base < encoded.ends)
            np.testing.assert_allclose(per_base[place][base], words[covering].mean(0), atol=1e-5)


def test_answers_do_not_depend_on_the_company(asked: World) -> None:
    tiny, calls = model(asked, "tiny"), model(asked, "calls")
    together = tiny.embed(list(TEXTS), vocabulary="pairs", layer=1)
    for place in (0, 4, 8):
        alone = tiny.embed([TEXTS[place]], vocabulary="pairs", layer=1)[0]
        np.testing.assert_allclose(together[place], alone, atol=1e-5)
    weights = calls.attend(list(TEXTS))
    assert [len(one) for one in weights] == [len(text) for text in TEXTS]
    np.testing.assert_allclose(weights[3], calls.attend([TEXTS[3]])[0], atol=1e-6)
    assert len(tiny.attend(list(TEXTS), vocabulary="pairs")) == 9


def test_nothing_asked_is_nothing_answered(asked: World) -> None:
    calls = model(asked, "calls")
    assert calls.predict([]).values.shape == (0, 2)
    assert calls.embed([]).shape == (0, 16)
    assert calls.attend([]) == ()


def test_variants_have_the_scores_of_the_job(asked: World, tmp_path: Path) -> None:
    text = "".join(asked.row("chr1", 100 + 9 * n) for n in range(12))
    plan = asked.plan(text, scorers=[*LIKELIHOODS, PROFILE])
    asked.results(plan, tmp_path)
    import pyarrow.parquet as pq

    job = pq.read_table(tmp_path / "variants" / "scores.parquet")
    files = (asked.folder / "v.vcf", asked.folder / "ref.fa")
    tiny = model(asked, "tiny").score_variants(*files, window_bp=64)
    marks = model(asked, "marks").score_variants(*files, window_bp=64, progress=True)
    for table, column in ((tiny, "llr_kmer3"), (tiny, "llr_pairs"), (marks, "profile_cosine")):
        np.testing.assert_allclose(table[column], job[column], atol=1e-6)
    assert tiny["position"].to_pylist() == job["position"].to_pylist()


def test_models_are_found_by_name_id_and_folder(asked: World) -> None:
    runs = {run.header.name: run for run in RunStore(asked.workspace).list()}
    for name, kind in (("tiny", "pretrained"), ("calls", "finetuned")):
        run = runs[name]
        by_name = find(name, asked.workspace)
        assert by_name.kind == kind
        inner = "checkpoints" if kind == "pretrained" else "models"
        (folder,) = (run.path / inner).iterdir()
        for wanted in (run.id, str(run.path), str(folder)):
            found = find(wanted, asked.workspace)
            assert (found.folder, found.model.fingerprint) == (
                by_name.folder,
                by_name.model.fingerprint,
            )
        # A folder in a workspace needs no other word for where its task is.
        assert find(str(folder)).workspace == asked.workspace


def test_a_folder_beside_a_run_of_its_name_does_not_hide_it(
    asked: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find("tiny", asked.workspace).kind == "pretrained"
    for wanted in ("tiny/", "./tiny", str(tmp_path)):
        with pytest.raises(MissingInputError, match="no model in this folder"):
            find(wanted, asked.workspace)
    with pytest.raises(MissingInputError, match="no model in this folder"):
        gfmp.load(Path("tiny"), workspace=asked.workspace.root)
    with pytest.raises(MissingInputError, match="no such folder"):
        find("./nothing", asked.workspace)


def test_questions_that_cannot_be_meant_are_refused(asked: World, tmp_path: Path) -> None:
    tiny, calls = model(asked, "tiny"), model(asked, "calls")
    wrong = [
        (lambda: tiny.predict(["ACGT"]), UsageError, "predicts nothing"),
        (lambda: tiny.embed(["ACGT"]), UsageError, "reads several"),
        (lambda: tiny.embed(["ACGT"], vocabulary="kmer4"), UsageError, "kmer4"),
        (lambda: calls.embed(["ACGT"], layer=3), UsageError, "no layer 3"),
        (lambda: calls.predict("ACGT"), UsageError, "one text"),
        (lambda: calls.predict(["ACGT", "AC-T"]), DataError, "'-' at letter 3"),
        (lambda: calls.embed(["AC"]), DataError, "2"),
        (lambda: model(asked, "nobody"), MissingInputError, "nobody"),
        (lambda: gfmp.load(tmp_path), MissingInputError, "no model in this folder"),
        (lambda: tiny.score_variants("x.vcf", "y.fa"), MissingInputError, "x.vcf"),
    ]
    for call, kind, says in wrong:
        with pytest.raises(kind) as caught:
            call()
        problem = caught.value.problems[0]
        assert says in str(caught.value) and problem.why and problem.fix
