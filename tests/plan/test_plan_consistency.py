"""Every row of a plan recomputed from the job and the other rows, for many jobs."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_examples import BASE, BPE, CORPUS, GIB, KMER, LAPTOP, NODE, TINY, known, spec

from gfmp.errors import SpecError
from gfmp.plan.checks import problems
from gfmp.plan.engine import choose_engine, deepspeed_config
from gfmp.plan.estimate import expected_rate, in_words
from gfmp.plan.explain import explain
from gfmp.plan.facts import Known, Machine
from gfmp.plan.flops import forward_flops, training_flops
from gfmp.plan.memory import ENGINES, activation_bytes, checkpoint_bytes, model_states
from gfmp.plan.parameters import count_parameters
from gfmp.plan.preflight import shortfalls
from gfmp.plan.resolve import resolve
from gfmp.plan.schedule import commits, kept, rate_in_words, short_evaluations
from gfmp.plan.sizes import Sizes, measure
from gfmp.plan.values import Derived
from gfmp.spec.model import Architecture
from gfmp.spec.pretrain import Checkpointing, Evaluation, Optimiser, Precision

ARCHITECTURES = st.builds(
    lambda layers, heads, per_head, inner: Architecture(
        layers=layers, width=heads * per_head, heads=heads, intermediate=inner
    ),
    st.integers(1, 24),
    st.integers(1, 16),
    st.integers(4, 64),
    st.integers(16, 4096),
)
JOBS = st.fixed_dictionaries(
    {
        "steps": st.integers(100, 10**6),
        "seed": st.integers(0, 99),
        "precision": st.sampled_from(["fp32", "bf16"]),
        "vocabularies": st.sampled_from(
            [
                [{"name": "bpe4096"}],
                [{"name": "kmer6"}],
                [{"name": "kmer6", "weight": 3.0}, {"name": "bpe4096", "weight": 0.5}],
            ]
        ),
        "sampling": st.one_of(
            st.integers(64, 5000).map(lambda n: {"global_batch_sequences": n}),
            st.integers(64 * 512, 10**6).map(lambda n: {"global_batch_tokens": n}),
        ),
        "masking": st.fixed_dictionaries(
            {
                "fraction": st.floats(0.05, 0.4),
                "law": st.sampled_from(["spans", "centres"]),
                "scope": st.sampled_from(["own", "union"]),
            }
        ),
        "optimiser": st.fixed_dictionaries(
            {
                "learning_rate": st.floats(1e-6, 1e-2),
                "warmup_steps": st.integers(0, 99),
                "schedule": st.sampled_from(["linear", "cosine", "constant"]),
            }
        ),
        "compute": st.fixed_dictionaries(
            {
                "workers": st.integers(1, 16),
                "zero_stage": st.sampled_from(["auto", "ddp", 0, 1, 2, 3]),
                "micro_batch_tokens": st.integers(4096, 50_000),
            }
        ),
    }
)
MACHINES = st.sampled_from([LAPTOP, NODE, replace(NODE, gpu_memory_bytes=0)])


def rows_of(sizes: Sizes) -> dict[str, Derived]:
    rows = explain(sizes)
    assert len({row.name for row in rows}) == len(rows)
    return {row.name: row for row in rows}


def numbers(text: str) -> list[float]:
    """Return the numbers of a sentence, thousands separators removed."""
    return [float(n) for n in re.findall(r"\d+(?:\.\d+)?", text.replace(",", ""))]


@given(job=JOBS, architecture=ARCHITECTURES, machine=MACHINES)
@settings(deadline=None, max_examples=50)
def test_rows_follow_from_one_another(
    job: dict[str, Any], architecture: Architecture, machine: Machine
) -> None:
    sizes = measure(spec(**job), known(architecture=architecture, machine=machine))
    rows = rows_of(sizes)
    value: dict[str, Any] = {name: row.value for name, row in rows.items()}
    sequences, per_step = value["global_batch_sequences"], value["tokens_per_step"]
    shares = dict(zip([f.name for f in sizes.facts], [r.share for r in sizes.rows], strict=True))
    mean = sum(share * value[f"tokens_per_sequence.{name}"] for name, share in shares.items())
    assert math.isclose(per_step, sequences * mean, rel_tol=2e-3)
    assert value["total_tokens"] == job["steps"] * per_step
    assert value["total_flops"] == job["steps"] * value["flops_per_step"]
    assert value["parameters"] == sum(numbers(rows["parameters"].reason))
    micro = job["compute"]["micro_batch_tokens"]
    per_rank = per_step / job["compute"]["workers"]
    assert (value["accumulation"] - 1) * micro <= per_rank + 1
    assert per_rank <= value["accumulation"] * micro + 1
    assert value["memory_per_rank"] == (
        value[f"model_states_per_rank.{value['engine']}"] + value["activations_per_rank"]
    )
    assert value["checkpoint_size"] == checkpoint_bytes(value["parameters"])
    epochs = value["total_tokens"] / per_step * sequences / value["samples_per_epoch"]
    assert math.isclose(value["epochs"], epochs, rel_tol=0.02)
    for name in shares:
        assert 0 < value[f"targets_per_sequence.{name}"] < value[f"tokens_per_sequence.{name}"]
        assert value[f"hidden_bases_per_span.{name}"] > 0


@given(job=JOBS, machine=MACHINES)
@settings(deadline=None, max_examples=30)
def test_the_equation_of_a_step_holds_as_it_is_written(
    job: dict[str, Any], machine: Machine
) -> None:
    rows = rows_of(measure(spec(**job), known(machine=machine)))
    sequences, mean, tokens, workers, micros, micro_tokens = numbers(rows["tokens_per_step"].reason)
    assert tokens == rows["tokens_per_step"].value
    assert abs(sequences * mean - tokens) <= sequences * 0.05 + 1, "the mean is shown to 0.1"
    assert 0 <= workers * micros * micro_tokens - tokens < workers * micros
    assert micros == rows["accumulation"].value
    assert workers == job["compute"]["workers"]


@given(job=JOBS, machine=MACHINES)
@settings(deadline=None, max_examples=40)
def test_a_resolved_plan_repeats_its_rows_and_survives_text(
    job: dict[str, Any], machine: Machine
) -> None:
    offered = known(machine=machine)
    sizes = measure(spec(**job), offered)
    assert problems(sizes) == ()
    plan = resolve(spec(**job), offered)
    value: dict[str, Any] = {row.name: row.value for row in plan.derived}
    assert plan.where.engine == value["engine"]
    assert plan.where.accumulation == value["accumulation"]
    assert plan.what.feed.global_batch_sequences == value["global_batch_sequences"]
    assert plan.what.steps == value["steps"]
    assert plan.what.vocabulary_rows == value["union_tokens"]
    assert math.isclose(math.fsum(plan.what.feed.weights), 1.0)
    assert type(plan).from_json(json.loads(json.dumps(plan.to_json()))) == plan
    lacking = shortfalls(plan, machine)
    rank = machine.rank_bytes(plan.where.workers, plan.where.use_gpu)
    needed = value[f"model_states_per_rank.{plan.where.engine}"]
    assert bool(lacking) == (0 < rank < needed)


@pytest.mark.parametrize("scope", ["own", "union"])
@pytest.mark.parametrize("law", ["spans", "centres"])
def test_flops_of_a_step_by_hand(law: str, scope: str) -> None:
    job = spec(vocabularies=[{"name": "kmer6"}], masking={"law": law, "scope": scope})
    sizes = measure(job, known())
    (row,) = sizes.rows
    visible = 0.15 if law == "spans" else 1 - (1 - 0.15 / 6) ** 14
    targets = round(32 * (row.mean_tokens - 3) * visible)
    columns = 4096 if scope == "own" else 7266
    tokens, squared = round(32 * row.mean_tokens), round(32 * row.mean_squared_tokens)
    weights = 4 * 128 * 128 + 3 * 128 * 512
    forward = 4 * (2 * weights * tokens + 4 * 128 * squared)
    forward += 2 * targets * (128 * 128 + 128 * columns)
    assert sizes.step_flops == 3 * forward


@given(ARCHITECTURES, st.integers(1, 10**5), st.integers(1, 10**4))
@settings(deadline=None, max_examples=40)
def test_flops_are_linear_in_what_is_computed(
    architecture: Architecture, tokens: int, targets: int
) -> None:
    squared = tokens * 100

    def count(*, times: int = 1, layers: int = 1) -> int:
        deeper = architecture.model_copy(update={"layers": layers * architecture.layers})
        return forward_flops(deeper, times * tokens, times * squared, times * targets, 512)

    head = forward_flops(architecture, 0, 0, targets, 512)
    assert count(times=3) == 3 * count()
    assert count(layers=2) - head == 2 * (count() - head)
    assert training_flops(architecture, tokens, squared, targets, 512) == 3 * count()


@given(ARCHITECTURES, st.integers(1, 10**5), st.integers(1, 3000), st.integers(8, 50_000))
@settings(deadline=None, max_examples=40)
def test_activations_grow_with_everything(
    architecture: Architecture, tokens: int, targets: int, columns: int
) -> None:
    home = activation_bytes(architecture, tokens, targets, columns, "fp32")
    deeper = architecture.model_copy(update={"layers": architecture.layers + 1})
    wider = architecture.model_copy(update={"intermediate": architecture.intermediate + 1})
    for more in (
        activation_bytes(deeper, tokens, targets, columns, "fp32"),
        activation_bytes(wider, tokens, targets, columns, "fp32"),
        activation_bytes(architecture, tokens + 1, targets, columns, "fp32"),
        activation_bytes(architecture, tokens, targets + 1, columns, "fp32"),
        activation_bytes(architecture, tokens, targets, columns + 1, "fp32"),
    ):
        assert more > home
    assert activation_bytes(architecture, tokens, targets, columns, "bf16") < home


@given(
    parameters=st.integers(1, 5 * 10**10),
    workers=st.integers(2, 256),
    rank=st.integers(1, 200 * GIB),
)
@settings(deadline=None, max_examples=60)
def test_auto_takes_the_lowest_stage_that_its_rule_allows(
    parameters: int, workers: int, rank: int
) -> None:
    engine, reason = choose_engine("auto", parameters, workers, "fp32", rank)
    fits = model_states(parameters, "zero2", workers, "fp32").total <= rank
    expected = "zero1" if parameters < 10**9 else "zero2" if fits else "zero3"
    assert engine == expected
    assert reason and choose_engine("auto", parameters, 1, "fp32", rank)[0] == "ddp"
    # More memory never leads to a higher stage.
    roomier, _ = choose_engine("auto", parameters, workers, "fp32", 2 * rank)
    assert ENGINES.index(roomier) <= ENGINES.index(engine)


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_deepspeed_dictionary_is_plain_json_of_the_plans_numbers(
    stage: int, precision: str
) -> None:
    compute = {"workers": 4, "zero_stage": stage, "micro_batch_tokens": 1024}
    plan = resolve(spec(compute=compute, precision=precision), known())
    config = deepspeed_config(plan)
    assert json.loads(json.dumps(config)) == config
    zero = config["zero_optimization"]
    assert isinstance(zero, dict) and zero["stage"] == stage
    assert zero["reduce_bucket_size"] == zero["allgather_bucket_size"]
    parameters = count_parameters(plan.what.architecture, plan.what.vocabulary_rows)
    assert zero["reduce_bucket_size"] - parameters in (0, 1)
    assert zero["reduce_bucket_size"] % 2 == 0
    assert config["gradient_accumulation_steps"] == plan.where.accumulation == 3


@pytest.mark.long
def test_deepspeed_knows_every_key() -> None:
    from deepspeed.runtime.zero.config import DeepSpeedZeroConfig

    plan = resolve(spec(compute={"workers": 2, "zero_stage": 3}), known())
    zero = deepspeed_config(plan)["zero_optimization"]
    assert isinstance(zero, dict)
    assert set(zero) <= set(DeepSpeedZeroConfig.model_fields)
    assert int(DeepSpeedZeroConfig(**zero).stage) == 3


@given(
    st.integers(1, 64),
    st.integers(1, 64),
    st.booleans(),
    st.sampled_from(["fp32", "bf16"]),
    st.integers(0, 200),
)
@settings(deadline=None, max_examples=40)
def test_speed_grows_with_workers_until_the_cores_are_used(
    workers: int, threads: int, use_gpu: bool, precision: Precision, gib: int
) -> None:
    machine = replace(NODE, gpu_memory_bytes=gib * GIB)
    one = expected_rate(machine, 1, threads, use_gpu, precision)
    many = expected_rate(machine, workers, threads, use_gpu, precision)
    used = workers if use_gpu else min(workers * threads, machine.cpu_cores)
    alone = 1 if use_gpu else threads
    assert many.flops_per_second == pytest.approx(one.flops_per_second / alone * used)
    assert many.reason.startswith(f"{used:,} x ")


@given(st.floats(0, 1e11), st.floats(1.0, 5.0))
@settings(deadline=None, max_examples=60)
def test_durations_are_readable_and_true(seconds: float, factor: float) -> None:
    units = {"years": 31_557_600, "days": 86_400, "hours": 3600, "minutes": 60, "seconds": 1}
    number, unit = in_words(seconds).split()
    assert float(number) * units[unit] == pytest.approx(seconds, rel=0.04, abs=0.51)
    assert unit == "seconds" or float(number) >= 1.5
    longer = in_words(seconds * factor).split()[1]
    assert units[longer] >= units[unit]


def test_estimated_time_is_flops_over_the_stated_rate() -> None:
    for machine in (LAPTOP, NODE):
        sizes = measure(spec(steps=10**6), known(machine=machine, architecture=BASE))
        rows = rows_of(sizes)
        stated = rows["estimated_time"].reason.partition(" on ")[2]
        count, peak, _, percent = numbers(stated.replace("H200", "H"))[:4]
        rate = count * peak * 1e12 * percent / 100
        assert float(rows["total_flops"].value) / rate == pytest.approx(
            float(rows["estimated_time"].value), rel=1e-6
        )


def test_reasons_quote_the_numbers_they_speak_of() -> None:
    rows = rows_of(measure(spec(), known()))
    assert numbers(rows["total_tokens"].reason) == [240, rows["tokens_per_step"].value]
    assert numbers(rows["epochs"].reason) == [240, 32, 1071, 26_000_000]
    assert rows["warmup_steps"].reason == "10.0% of 240 steps"
    assert rows["samples_per_epoch"].reason.startswith("26,000,000 training bases / 1,071 bases")
    assert "64 held-out windows x 2 vocabularies" in rows["evaluation_windows"].reason
    final = numbers(
        rows["final_evaluation_windows"].reason.replace("bpe4096", "").replace("r6", "")
    )
    assert final[0] == 50_000
    assert sum(final[1:3]) == rows["final_evaluation_windows"].value


@given(
    steps=st.integers(1, 400),
    every=st.integers(1, 100),
    last=st.integers(1, 5),
    best=st.integers(0, 4),
)
@settings(deadline=None, max_examples=40)
def test_checkpoints_and_evaluations_agree_with_a_walk(
    steps: int, every: int, last: int, best: int
) -> None:
    checkpoint = Checkpointing(every_steps=every, keep_last=last, keep_best=best)
    written: list[int] = []
    most = short = 0
    for step in range(1, steps + 1):
        if step % every == 0 or step == steps:
            written.append(step)
            most = max(most, min(len(written), last + best))
        short += step % every == 0 and step != steps
    assert commits(steps, checkpoint) == len(written)
    assert kept(steps, checkpoint) == most
    assert short_evaluations(steps, Evaluation(every_steps=every)) == short


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schedule": "cosine"}, "0.002 from the first step, then cosine to 0 at 9,000"),
        ({"warmup_steps": 1000}, "0 -> 0.002 over 1,000 steps, then linear to 0 at 9,000"),
        ({"final_fraction": 0.1}, "0.002 from the first step, then linear to 0.0002 at 9,000"),
        ({"warmup_steps": 5, "schedule": "constant"}, "0 -> 0.002 over 5 steps, then constant"),
    ],
)
def test_rates_in_words(changes: dict[str, Any], words: str) -> None:
    assert rate_in_words(Optimiser(learning_rate=2e-3, **changes), 9_000) == words


def test_problems_of_every_kind_come_together_and_each_says_what_to_do() -> None:
    job = spec(
        sampling={"global_batch_sequences": 3, "max_tokens": 2048},
        optimiser={"learning_rate": 3.0, "warmup_steps": 240, "betas": [0.9, 1.0]},
        compute={"workers": 4, "device": "gpu", "micro_batch_tokens": 512},
    )
    offered: Known = known(
        vocabularies=(replace(BPE, window=replace(BPE.window, min_bp=3)), KMER),
        corpus=replace(CORPUS, train_bases=100, valid_bases=1),
    )
    with pytest.raises(SpecError) as caught:
        resolve(job, offered)
    assert [p.where for p in caught.value.problems] == [
        "compute.device",
        "compute.workers",
        "compute.micro_batch_tokens",
        "vocabularies.0",
        "optimiser.learning_rate",
        "optimiser.warmup_steps",
        "optimiser.betas",
        "corpus",
        "corpus",
    ]
    assert all(p.message and p.why and p.fix for p in caught.value.problems)


def test_following_the_advice_removes_the_problem() -> None:
    job = {"sampling": {"global_batch_sequences": 3}, "compute": {"workers": 4}}
    (found,) = problems(measure(spec(**job), known()))
    workers = int(numbers(found.fix)[0])
    assert problems(measure(spec(**{**job, "compute": {"workers": workers}}), known())) == ()
    narrow = {"global_batch_sequences": 32, "max_tokens": 16}
    (found,) = problems(measure(spec(sampling=narrow), known()))
    wide = {**narrow, "max_tokens": int(numbers(found.fix)[0])}
    assert problems(measure(spec(sampling=wide), known())) == ()
    leaking = replace(KMER, mask_span_tokens=3)
    (found,) = problems(measure(spec(), known(vocabularies=(BPE, leaking))))
    safe = replace(KMER, mask_span_tokens=int(numbers(found.fix)[0]))
    assert problems(measure(spec(), known(vocabularies=(BPE, safe)))) == ()


def test_tiny_shapes_have_the_parameters_of_their_tensors() -> None:
    total = count_parameters(TINY, 7266)
    d, inner = 128, 512
    layer = 4 * (d * d + d) + 2 * d + (2 * d * inner) + (inner * d + d) + 2 * d
    assert total == 7266 * d + 2 * d + 4 * layer + (d * d + d + 2 * d + 7266)
