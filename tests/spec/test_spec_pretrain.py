"""Pretraining specs: bounds, unions, hints at every level."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gfmp.errors import SpecError
from gfmp.spec.load import load_spec, validate
from gfmp.spec.model import Architecture, ModelSpec
from gfmp.spec.pretrain import (
    Checkpointing,
    Compute,
    Evaluation,
    Masking,
    Optimiser,
    PretrainSpec,
    Sampling,
    VocabularyUse,
)
from gfmp.spec.project import find_named
from gfmp.storage.documents import parse_document

JOB = """\
kind: pretrain
name: small
corpus: demo
vocabularies:
  - {name: kmer6}
  - {name: bpe64, weight: 2}
model: {layers: 2, width: 32, heads: 2, intermediate: 64}
steps: 10
sampling: {global_batch_sequences: 8}
optimiser: {learning_rate: 1e-3}
"""
MODEL = "{layers: 2, width: 32, heads: 2, intermediate: 64}"


def _load(text: str) -> PretrainSpec:
    return validate(parse_document(text, Path("job.yaml")), PretrainSpec)


def _refused(text: str) -> list[tuple[str, str, str, str]]:
    with pytest.raises(SpecError) as caught:
        _load(text)
    return [(p.where, p.message, p.why, p.fix) for p in caught.value.problems]


def test_a_model_is_a_name_or_a_block() -> None:
    assert _load(JOB).model == Architecture(layers=2, width=32, heads=2, intermediate=64)
    assert _load(JOB.replace(MODEL, "base")).model == "base"
    assert _load(JOB.replace(MODEL, "../mine.yaml")).model == "../mine.yaml"


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        # A block is judged as a block: nobody is told that it should have been a text.
        ("{layers: 0, width: 4, heads: 1, intermediate: 4}", [("7:9", "model.layers: 0")]),
        ("{layers: 1, width: 4, heads: 3, intermediate: 4}", [("7:1", "model: 'that block'")]),
        (
            "{layer: 1, width: 4, heads: 1, intermediate: 4}",
            [("7:1", "the key 'model.layers' is missing"), ("7:9", "unknown key 'model.layer'")],
        ),
        ("5", [("7:1", "model: 5 is not allowed")] * 2),
    ],
)
def test_a_wrong_model_says_what_is_wrong_and_nothing_else(
    block: str, expected: list[tuple[str, str]]
) -> None:
    found = _refused(JOB.replace(MODEL, block))
    assert len(found) == len(expected), found
    for (where, message, _, _), (place, start) in zip(found, expected, strict=True):
        assert where == f"job.yaml:{place}"
        assert message.startswith(start)


def test_a_block_where_only_a_text_may_stand_is_not_swallowed() -> None:
    found = _refused(JOB.replace("corpus: demo", "corpus: {name: demo}").replace("10", "0"))
    assert [message.split(":")[0] for _, message, _, _ in found] == ["corpus", "steps"]


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ("{name: kmer6}", "{nme: kmer6}", "did you mean 'name'?"),
        ("weight: 2", "wieght: 2", "did you mean 'weight'?"),
        ("width: 32", "widht: 32", "did you mean 'width'?"),
        ("global_batch_sequences", "global_batch_sequence", "'global_batch_sequences'?"),
        ("learning_rate", "learningrate", "did you mean 'learning_rate'?"),
        ("steps: 10", "steps: 10\nmasking: {fractoin: 0.2}", "did you mean 'fraction'?"),
        ("steps: 10", "steps: 10\ncompute: {wokers: 2}", "did you mean 'workers'?"),
        ("steps: 10", "steps: 10\ncheckpoint: {keep_bst: 2}", "did you mean 'keep_best'?"),
        ("steps: 10", "steps: 10\nevaluation: {window: 2}", "did you mean 'windows'?"),
        ("steps: 10", "steps: 10\noptimizer: {}", "did you mean 'optimiser'?"),
        ("steps: 10", "steps: 10\nzzz: 1", "remove it"),
    ],
)
def test_unknown_keys_are_hinted_at_every_level(old: str, new: str, hint: str) -> None:
    found = [p for p in _refused(JOB.replace(old, new)) if "unknown key" in p[1]]
    assert len(found) == 1
    _, _, why, fix = found[0]
    assert hint in fix
    assert why.startswith("known keys here: ")


def test_the_known_keys_are_those_of_that_level() -> None:
    ((_, _, why, _),) = _refused(JOB.replace("weight: 2", "weight: 2, share: 1"))
    assert why == f"known keys here: {', '.join(sorted(VocabularyUse.model_fields))}"


def test_a_missing_item_of_a_pair_is_named_as_that_item() -> None:
    ((where, message, _, _),) = _refused(JOB.replace("1e-3}", "1e-3, betas: [0.9]}"))
    assert (where, message) == ("job.yaml:10:34", "the key 'optimiser.betas.1' is missing")
    ((_, _, why, _),) = _refused(JOB.replace("1e-3}", "1e-3, betas: [0.9, 0.9, 0.9]}"))
    assert "at most 2 items" in why


@pytest.mark.parametrize(
    ("model", "field", "good", "bad"),
    [
        (Compute, "workers", (1, 512), (0, -1, 1.0, True, "2")),
        (Compute, "zero_stage", ("auto", "ddp", 0, 3), (4, -1, "1", "zero1")),
        (Compute, "device", ("auto", "cpu", "gpu"), ("cuda", "", None)),
        (Compute, "micro_batch_tokens", (512, 1 << 20), (511, 0)),
        (Compute, "threads_per_worker", (0, 64), (-1, 1.5)),
        (Compute, "max_failures", (0, 100), (-1,)),
        (Compute, "stall_seconds", (1, 600, 3600), (0, 3601)),
        (Checkpointing, "every_steps", (1, 10**9), (0, -5)),
        (Checkpointing, "keep_last", (1, 9), (0,)),
        (Checkpointing, "keep_best", (0, 9), (-1,)),
        (Evaluation, "every_steps", (1,), (0,)),
        (Evaluation, "windows", (1,), (0,)),
        (Evaluation, "final_hidden_bases", (1,), (0, 1.5)),
        (Evaluation, "fraction", (1e-9, 0.999), (0.0, 1.0, -0.1, float("nan"))),
        (Masking, "fraction", (0.001, 0.999), (0.0, 1.0, float("inf"))),
        (Masking, "mask_fraction", (0.0, 0.9), (-0.1, 1.1, 0.95)),
        (Masking, "law", ("spans", "centres"), ("span", "")),
        (Masking, "scope", ("own", "union"), ("all",)),
        (VocabularyUse, "weight", (1e-9, 1e9), (0.0, -1.0, float("inf"), float("nan"))),
        (VocabularyUse, "name", ("a", "0", "a" * 64), ("", "A", "a" * 65, "../a", ".a", "a b")),
        (Sampling, "max_tokens", (16, 2048), (15,)),
        (Sampling, "reverse_complement_fraction", (0.0, 1.0), (-0.01, 1.01)),
        (Sampling, "buffer_row_groups", (1,), (0,)),
        (Optimiser, "learning_rate", (1e-12, 10.0), (0.0, -1e-3, float("nan"))),
        (Optimiser, "epsilon", (1e-12,), (0.0,)),
        (Optimiser, "weight_decay", (0.0,), (-0.1,)),
        (Optimiser, "clip_norm", (1e-3,), (0.0,)),
        (Optimiser, "warmup_steps", (0,), (-1,)),
        (Optimiser, "final_fraction", (0.0, 1.0), (1.1,)),
        (Optimiser, "schedule", ("linear", "cosine", "constant"), ("step",)),
    ],
)
def test_bounds(
    model: type[Compute], field: str, good: tuple[object, ...], bad: tuple[object, ...]
) -> None:
    needed: dict[str, object] = {
        "VocabularyUse": {"name": "kmer6"},
        "Sampling": {"global_batch_sequences": 1},
        "Optimiser": {"learning_rate": 1e-3},
    }.get(model.__name__, {})
    for value in good:
        made = model.model_validate({**needed, field: value})
        assert made.model_dump()[field] == value
    for value in bad:
        with pytest.raises(
            ValidationError, match=field if field != "mask_fraction" else "fraction"
        ):
            model.model_validate({**needed, field: value})


@given(
    training=st.builds(
        Masking,
        fraction=st.floats(0.01, 0.99),
        law=st.sampled_from(["spans", "centres"]),
        mask_fraction=st.floats(0.0, 0.5),
        random_fraction=st.floats(0.0, 0.5),
        scope=st.sampled_from(["own", "union"]),
    ),
    fraction=st.floats(0.01, 0.99),
)
@settings(max_examples=40, deadline=None)
def test_held_out_windows_hide_alike_whatever_training_hides(
    training: Masking, fraction: float
) -> None:
    law = Evaluation(fraction=fraction).masking(training)
    assert law == Evaluation(fraction=fraction).masking(Masking(scope=training.scope))
    assert (law.fraction, law.law) == (fraction, "spans")
    assert (law.mask_fraction, law.random_fraction) == (1.0, 0.0)


def test_exactly_one_batch_size() -> None:
    for sizes in ({}, {"global_batch_sequences": 1, "global_batch_tokens": 1}):
        with pytest.raises(ValidationError, match="exactly one"):
            Sampling.model_validate(sizes)


def test_specs_are_frozen() -> None:
    spec = _load(JOB)
    with pytest.raises(ValidationError, match="frozen"):
        spec.steps = 11  # type: ignore[misc]
    assert hash(spec.masking) == hash(Masking())


@settings(max_examples=40, deadline=None)
@given(st.integers(-(2**70), 2**70))
def test_seeds_fit_a_signed_word(seed: int) -> None:
    text = JOB.replace("steps: 10", f"steps: 10\nseed: {seed}")
    if 0 <= seed < 2**63:
        assert _load(text).seed == seed
    else:
        assert [where for where, *_ in _refused(text)] == ["job.yaml:9:1"]


@pytest.mark.parametrize("number", ["0x_", "0b_", "1" * 5000, "0x" + "f" * 5000, "._"])
def test_what_only_looks_like_a_number_is_an_error_with_a_place(number: str) -> None:
    ((where, message, _, _),) = _refused_text(JOB.replace("steps: 10", f"steps: {number}"))
    assert where == "job.yaml:8:8"
    assert "is no number" in message
    assert len(message) < 60


def _refused_text(text: str) -> list[tuple[str, str, str, str]]:
    with pytest.raises(SpecError) as caught:
        parse_document(text, Path("job.yaml"))
    return [(p.where, p.message, p.why, p.fix) for p in caught.value.problems]


def test_published_models_load(root: Path) -> None:
    for path in sorted((root / "specs" / "models").glob("*.yaml")):
        spec, _ = load_spec(path, {"model": ModelSpec})
        assert spec.architecture.width % spec.architecture.heads == 0
        assert find_named("models", path.stem, root / "jobs") == path


def test_the_nearest_specs_folder_wins_and_the_current_one_is_asked_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("here/inner", "here", "elsewhere"):
        models = tmp_path / place / "specs" / "models"
        models.mkdir(parents=True)
        (models / "tiny.yaml").touch()
        (models / f"only-{place.replace('/', '-')}.yaml").touch()
    monkeypatch.chdir(tmp_path / "elsewhere")
    start = tmp_path / "here" / "inner" / "jobs" / "job.yaml"
    start.parent.mkdir()
    inner, elsewhere = tmp_path / "here" / "inner", tmp_path / "elsewhere"
    assert find_named("models", "tiny", start) == inner / "specs" / "models" / "tiny.yaml"
    assert find_named("models", "only-here", start).is_relative_to(tmp_path / "here" / "specs")
    assert find_named("models", "only-elsewhere", start).is_relative_to(elsewhere)
    # A path is taken as it is, from the folder of the job.
    assert find_named("models", "x.yml", start) == start.parent / "x.yml"
