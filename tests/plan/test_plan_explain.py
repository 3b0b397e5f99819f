from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from plan_examples import BASE, BPE, CORPUS, NODE, TINY, known, spec

from gfmp.plan.explain import explain
from gfmp.plan.flops import training_flops
from gfmp.plan.sizes import measure
from gfmp.plan.values import Derived


def _rows(asked: Mapping[str, object], offered: Mapping[str, object]) -> dict[str, Derived]:
    rows = explain(measure(spec(**asked), known(**offered)))
    assert len({row.name for row in rows}) == len(rows), "a name stands twice"
    assert all(row.reason for row in rows)
    return {row.name: row for row in rows}


def test_every_number_a_person_asks_for_is_there() -> None:
    rows = _rows({}, {})
    expected = {
        "union_tokens",
        "parameters",
        "tokens_per_sequence.bpe4096",
        "targets_per_sequence.kmer6",
        "hidden_bases_per_span.kmer6",
        "global_batch_sequences",
        "tokens_per_step",
        "accumulation",
        "steps",
        "total_tokens",
        "samples_per_epoch",
        "epochs",
        "warmup_steps",
        "learning_rate",
        "engine",
        "model_states_per_rank.zero3",
        "activations_per_rank",
        "memory_per_rank",
        "flops_per_step",
        "total_flops",
        "estimated_time",
        "evaluation_windows",
        "final_evaluation_windows",
        "checkpoints_kept",
        "checkpoint_size",
        "commit_memory",
    }
    assert expected <= set(rows)


def test_numbers_agree_with_each_other() -> None:
    rows = _rows({}, {})
    value = {name: row.value for name, row in rows.items()}
    assert value["total_tokens"] == 240 * int(value["tokens_per_step"])
    assert value["total_flops"] == 240 * int(value["flops_per_step"])
    assert value["checkpoint_size"] == 12 * int(value["parameters"])
    passes = int(value["samples_per_epoch"]) * float(value["epochs"])
    assert passes == pytest.approx(240 * 32, rel=0.01)
    memory = int(value["model_states_per_rank.zero1"]) + int(value["activations_per_rank"])
    assert value["memory_per_rank"] == memory
    assert "chosen" in rows["model_states_per_rank.zero1"].reason
    assert "chosen" not in rows["model_states_per_rank.zero2"].reason


def test_flops_of_a_mixture_lie_between_those_of_its_vocabularies() -> None:
    both = measure(spec(), known()).step_flops
    alone = [measure(spec(vocabularies=[{"name": n}]), known()) for n in ("bpe4096", "kmer6")]
    assert min(s.step_flops for s in alone) < both < max(s.step_flops for s in alone)
    bpe, row = alone[0], alone[0].rows[0]
    assert bpe.step_flops == training_flops(
        TINY,
        round(32 * row.mean_tokens),
        round(32 * row.mean_squared_tokens),
        round(32 * 0.15 * (row.mean_tokens - 3)),
        4091,
    )


def test_a_union_head_has_more_columns_than_an_own_one() -> None:
    union = measure(spec(masking={"scope": "union"}), known())
    own = measure(spec(), known())
    assert union.step_flops > own.step_flops
    assert (union.head_rows(BPE), own.head_rows(BPE)) == (7266, 4091)


def test_bounds_are_named_while_a_vocabulary_is_missing() -> None:
    bpe = replace(BPE, rows_low=1000, built=False, how="train 4,096 words")
    offered = {
        "vocabularies": (bpe, known().vocabularies[1]),
        "ensemble_fingerprint": "",
        "ensemble_rows": (5000, 7266),
    }
    row = _rows({}, offered)["union_tokens"]
    assert row.value == 7266
    assert "between 5,000 and 7,266 until bpe4096 is built" in row.reason


def test_epochs_are_unknown_while_the_corpus_is() -> None:
    unknown = replace(CORPUS, content_hash="", train_bases=0, valid_bases=0)
    rows = _rows({}, {"corpus": unknown})
    assert rows["samples_per_epoch"].value == "unknown"
    assert "epochs" not in rows


def test_a_token_budget_is_explained() -> None:
    rows = _rows({"sampling": {"global_batch_tokens": 12_000}}, {})
    assert rows["global_batch_sequences"].value == 32
    assert "12,000 tokens / 368.0" in rows["global_batch_sequences"].reason


def test_windows_cut_at_max_tokens_are_announced() -> None:
    rows = _rows({"sampling": {"global_batch_sequences": 32, "max_tokens": 256}}, {})
    assert "are cut there" in rows["tokens_per_sequence.kmer6"].reason


def test_a_model_too_large_for_the_machine_says_so_and_what_gpus_would_take() -> None:
    asked = {"steps": 1_000_000, "sampling": {"global_batch_sequences": 1536}}
    small = replace(known().machine, memory_bytes=10**9)
    rows = _rows(asked, {"architecture": BASE, "machine": small})
    assert rows["memory_per_rank"].reason.endswith("TOO LITTLE")
    assert "H200" in rows["estimated_time_on_gpus"].reason
    with_gpus = _rows(asked, {"architecture": BASE, "machine": NODE})
    assert not with_gpus["memory_per_rank"].reason.endswith("TOO LITTLE")
    assert "estimated_time_on_gpus" not in with_gpus
    unknown = _rows(asked, {"architecture": BASE, "machine": replace(NODE, gpu_memory_bytes=0)})
    assert "not known" in unknown["memory_per_rank"].reason
