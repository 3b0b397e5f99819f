"""Sweep and fine-tuning specs: every rule, told at the line that breaks it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gfmp.errors import SpecError
from gfmp.spec.learner import Finetuning, KmerBaseline
from gfmp.spec.load import load_spec, validate
from gfmp.spec.model import Architecture
from gfmp.spec.sweep import PAPER_PERCENTS, FinetuneSpec, SweepCompute, SweepSpec, Values
from gfmp.storage.documents import parse_document

KINDS: dict[str, type[SweepSpec | FinetuneSpec]] = {"sweep": SweepSpec, "finetune": FinetuneSpec}
KMER = "{kind: kmer, longest: 4}"
SPEC = f"""\
kind: sweep
name: grid
tasks: [splice, coding]
label_percents: [1, 10, 100]
seeds: [0, 1]
arms:
  - learner: probe
    vocabularies: [kmer6, bpe4096]
    initial: [demo, other]
  - learner: {KMER}
"""
JOB = """\
kind: finetune
name: one
task: splice
vocabulary: kmer6
initial: demo
learner: {kind: finetune, epochs: 2}
label_percent: 10
"""
SEARCH = "kmer\n    search: "


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.yaml"


def _load(path: Path, text: str) -> SweepSpec | FinetuneSpec:
    path.write_text(text)
    return load_spec(path, KINDS)[0]


def _sweep(path: Path, text: str = SPEC) -> SweepSpec:
    spec = _load(path, text)
    assert isinstance(spec, SweepSpec)
    return spec


def _refused(path: Path, text: str, old: str, new: str) -> list[tuple[str, str]]:
    """Return (place, message and rule and fix) of everything that is wrong."""
    assert text.count(old) == 1
    with pytest.raises(SpecError) as caught:
        _load(path, text.replace(old, new))
    where = [p.where.removeprefix(f"{path}:") for p in caught.value.problems]
    words = [f"{p.message}; {p.why}; {p.fix}" for p in caught.value.problems]
    return list(zip(where, words, strict=True))


def test_a_sweep_is_read_whole(path: Path) -> None:
    spec = _sweep(path)
    assert (spec.tasks, spec.label_percents, spec.seeds) == (
        ("splice", "coding"),
        (1, 10, 100),
        (0, 1),
    )
    encoder, baseline = spec.arms
    assert (encoder.learner, encoder.vocabularies, encoder.initial) == (
        "probe",
        ("kmer6", "bpe4096"),
        ("demo", "other"),
    )
    assert baseline.learner == KmerBaseline(kind="kmer", longest=4)
    assert (baseline.vocabularies, baseline.initial, baseline.search) == ((), (), None)
    assert spec.compute == SweepCompute(workers=0, threads_per_worker=1, gpu_fraction=0.25)
    assert spec.scratch_model == ""


def test_what_is_left_out_is_the_papers(path: Path) -> None:
    spec = _sweep(path, SPEC.replace("label_percents: [1, 10, 100]\nseeds: [0, 1]\n", ""))
    assert spec.label_percents == PAPER_PERCENTS == (1, 3, 10, 30, 40, 50, 60, 70, 80, 90, 100)
    assert spec.seeds == (0, 1, 2)


@pytest.mark.parametrize(
    ("old", "new", "where", "words"),
    [
        ("kind: sweep", "kind: sweeps", "1:1", "did you mean 'sweep'?"),
        ("name: grid", "name: Grid", "2:1", "name: 'Grid' is not allowed"),
        ("name: grid\n", "", "1:1", "the key 'name' is missing"),
        ("[splice, coding]", "[]", "3:1", "at least 1 item"),
        ("[splice, coding]", "[a, b, a]", "3:1", "this stands twice: a"),
        ("[splice, coding]", "splice", "3:1", "valid array"),
        ("[1, 10, 100]", "[]", "4:1", "at least 1 item"),
        ("[1, 10, 100]", "[0]", "4:18", "greater than 0"),
        ("[1, 10, 100]", "[1, 100.5]", "4:21", "less than or equal to 100"),
        ("[1, 10, 100]", "[1, 1.0]", "4:1", "this stands twice: 1.0"),
        ("[1, 10, 100]", "['1']", "4:18", "valid number"),
        ("seeds", "seed", "5:1", "did you mean 'seeds'?"),
        ("[0, 1]", "[]", "5:1", "at least 1 item"),
        ("[0, 1]", "[-1]", "5:9", "greater than or equal to 0"),
        ("[0, 1]", "[0.5]", "5:9", "valid integer"),
        ("[0, 1]", "[3, 4, 3]", "5:1", "this stands twice: 3"),
        ("[0, 1]", f"[{2**63}]", "5:9", "less than 9223372036854775808"),
        ("arms:", "compute: {workers: -1}\narms:", "6:11", "greater than or equal to 0"),
        ("arms:", "compute: {gpu_fraction: 1.5}\narms:", "6:11", "less than or equal to 1"),
        ("arms:", "compute: {threads_per_worker: 0}\narms:", "6:11", "equal to 1"),
        ("arms:", "compute: {wokers: 1}\narms:", "6:11", "did you mean 'workers'?"),
        (
            "arms:",
            "scratch_model: {layers: 1, width: 10, heads: 3, intermediate: 4}\narms:",
            "6:1",
            "width 10 is not a multiple of heads 3",
        ),
    ],
)
def test_a_rule_of_a_sweep_is_told_at_its_line(
    path: Path, old: str, new: str, where: str, words: str
) -> None:
    ((found, told),) = _refused(path, SPEC, old, new)
    assert found == where
    assert words in told


@pytest.mark.parametrize(
    ("old", "new", "where", "words"),
    [
        ("    initial: [demo, other]\n", "", "7:5", "an encoder needs both"),
        ("    vocabularies: [kmer6, bpe4096]\n", "", "7:5", "an encoder needs both"),
        ("[demo, other]", "[]", "7:5", "an encoder needs both"),
        ("[demo, other]", "[demo, demo]", "9:5", "this stands twice: demo"),
        ("[kmer6, bpe4096]", "[kmer6, kmer6]", "8:5", "this stands twice: kmer6"),
        ("[kmer6, bpe4096]", "[../kmer6]", "8:20", "should match pattern"),
        ("[kmer6, bpe4096]", "kmer6", "8:5", "valid array"),
        (KMER, "{kind: kmer}\n    initial: [demo]", "10:5", "a kmer baseline has no initial model"),
        (KMER, "{kind: cnn}\n    initial: [demo]", "10:5", "a cnn baseline has no initial model"),
        (KMER, "{kind: cnn}\n    vocabularies: [kmer6]", "10:5", "a baseline neither"),
        (KMER, "{kind: kmer, longest: 2}", "10:5", "longest 2 is below shortest 3"),
        (KMER, "{kind: kmer, longest: 0}", "10:27", "greater than or equal to 1"),
        (KMER, "{kind: kmer, longst: 4}", "10:27", "did you mean 'longest'?"),
        (KMER, "{kind: knn}", "10:5", "'finetune', 'probe', 'kmer', 'cnn'"),
        (KMER, "{longest: 4}", "10:5", "'kind'"),
        (KMER, "kmer\n    label_percents: [0]", "11:22", "greater than 0"),
        (KMER, "kmer\n    label_percents: [3, 3.0]", "11:5", "this stands twice: 3.0"),
        (KMER, "kmer\n    max_train_rows: -1", "11:5", "greater than or equal to 0"),
        (KMER, "kmer\n    percents: [1]", "11:5", "did you mean 'label_percents'?"),
    ],
)
def test_a_rule_of_an_arm_is_told_at_its_line(
    path: Path, old: str, new: str, where: str, words: str
) -> None:
    ((found, told),) = _refused(path, SPEC, old, new)
    assert found == where
    assert words in told


@pytest.mark.parametrize(
    ("search", "where", "words"),
    [
        ("{space: {}}", "11:14", "at least 1 item"),
        ("{samples: 3}", "11:5", "the key 'arms.1.search.space' is missing"),
        ("{space: {longest: {}}}", "11:22", "either choices, or both low and high"),
        ("{space: {longest: {low: 1}}}", "11:22", "either choices, or both low and high"),
        ("{space: {longest: {high: 1}}}", "11:22", "either choices, or both low and high"),
        ("{space: {longest: {choices: [3], low: 1}}}", "11:22", "either choices"),
        ("{space: {longest: {choices: [3], low: 1, high: 2}}}", "11:22", "either choices"),
        ("{space: {longest: {low: 2, high: 1}}}", "11:22", "low 2.0 is not below high 1.0"),
        ("{space: {longest: {low: 2, high: 2}}}", "11:22", "low 2.0 is not below high 2.0"),
        ("{space: {longest: {low: 0, high: 1}}}", "11:22", "low 0.0 has no logarithm"),
        ("{space: {longest: {low: -2, high: -1}}}", "11:22", "low -2.0 has no logarithm"),
        ("{space: {longest: {choices: [3]}}, samples: 0}", "11:48", "equal to 1"),
        ("{space: {longest: {choices: [3]}}, searcher: x}", "11:48", "should be 'random'"),
        ("{space: {longest: {choices: [3]}}, reduction_factor: 1}", "11:48", "equal to 2"),
        ("{space: {longest: {choices: [3]}}, sampels: 2}", "11:48", "did you mean 'samples'?"),
    ],
)
def test_a_rule_of_a_search_is_told_at_its_line(
    path: Path, search: str, where: str, words: str
) -> None:
    ((found, told),) = _refused(path, SPEC, KMER, SEARCH + search)
    assert found == where
    assert words in told


def test_everything_that_is_wrong_is_told_in_one_pass(path: Path) -> None:
    broken = SPEC.replace("name: grid", "name: G").replace("[0, 1]", "[0, 0]")
    found = _refused(path, broken, "longest: 4", "longest: 2")
    assert [where for where, _ in found] == ["2:1", "5:1", "10:5"]


def test_an_architecture_is_a_name_or_a_block(path: Path) -> None:
    block = "scratch_model: {layers: 1, width: 8, heads: 2, intermediate: 4}\n"
    spec = _sweep(path, SPEC + block)
    assert spec.scratch_model == Architecture(layers=1, width=8, heads=2, intermediate=4)
    assert _sweep(path, f"{SPEC}scratch_model: tiny\n").scratch_model == "tiny"


@given(low=st.floats(-10, 10), high=st.floats(-10, 10), scale=st.sampled_from(["log", "linear"]))
@settings(max_examples=60, deadline=None)
def test_a_range_is_one_a_number_can_be_drawn_from(low: float, high: float, scale: str) -> None:
    made = {"low": low, "high": high, "scale": scale}
    if low < high and (scale == "linear" or low > 0):
        assert Values.model_validate(made).high == high
    else:
        with pytest.raises(ValidationError):
            Values.model_validate(made)


def test_a_job_of_one_cell_is_a_sweep_of_one_cell(path: Path) -> None:
    job = _load(path, JOB + "seed: 5\nscratch_model: tiny\ncompute: {threads_per_worker: 2}\n")
    assert isinstance(job, FinetuneSpec)
    sweep = job.as_sweep()
    assert (sweep.name, sweep.tasks, sweep.label_percents) == ("one", ("splice",), (10.0,))
    assert (sweep.seeds, sweep.scratch_model) == ((5,), "tiny")
    (arm,) = sweep.arms
    assert arm.learner == Finetuning(kind="finetune", epochs=2) == job.learner
    assert (arm.vocabularies, arm.initial) == (("kmer6",), ("demo",))
    assert sweep.compute == job.compute == SweepCompute(threads_per_worker=2)
    # It is a sweep that could have been written by hand.
    written = """\
kind: sweep
name: one
tasks: [splice]
label_percents: [10]
seeds: [5]
scratch_model: tiny
arms: [{learner: {kind: finetune, epochs: 2}, vocabularies: [kmer6], initial: [demo]}]
compute: {threads_per_worker: 2}
"""
    assert sweep == _sweep(path, written)


def test_a_job_takes_a_preset_by_name_and_all_rows_by_itself(path: Path) -> None:
    text = JOB.replace("{kind: finetune, epochs: 2}", "finetune_tiny").replace(
        "label_percent: 10", ""
    )
    job = _load(path, text)
    assert isinstance(job, FinetuneSpec)
    assert (job.as_sweep().arms[0].learner, job.as_sweep().label_percents) == (
        "finetune_tiny",
        (100,),
    )


@pytest.mark.parametrize(
    ("old", "new", "where", "words"),
    [
        ("{kind: finetune, epochs: 2}", "{kind: kmer}", "6:", "'kmer'"),
        ("{kind: finetune, epochs: 2}", "{kind: finetune, epoch: 2}", "6:27", "'epochs'?"),
        ("{kind: finetune, epochs: 2}", "{kind: finetune, epochs: 0}", "6:27", "equal to 1"),
        ("{kind: finetune, epochs: 2}", "[probe]", "6:1", "learner"),
        ("label_percent: 10", "label_percent: 0", "7:1", "greater than 0"),
        ("label_percent: 10", "label_percent: 101", "7:1", "less than or equal to 100"),
        ("label_percent: 10", "seed: -1", "7:1", "greater than or equal to 0"),
        ("label_percent: 10", "label_percents: [1]", "7:1", "did you mean 'label_percent'?"),
        ("vocabulary: kmer6\n", "", "1:1", "the key 'vocabulary' is missing"),
        ("vocabulary: kmer6", "vocabulary: [kmer6]", "4:1", "names two or more vocabularies"),
        ("vocabulary: kmer6", "vocabulary: {a: b}", "4:1", "valid string"),
        ("initial: demo\n", "", "1:1", "the key 'initial' is missing"),
        ("task: splice", "task: [splice]", "3:1", "valid string"),
    ],
)
def test_a_rule_of_a_job_is_told_at_its_line(
    path: Path, old: str, new: str, where: str, words: str
) -> None:
    found = _refused(path, JOB, old, new)
    assert any(place.startswith(where) and words in told for place, told in found), found


def test_specs_are_frozen_and_equal_by_content(path: Path) -> None:
    one, other = _sweep(path), _sweep(path, f"# the same\n{SPEC}")
    assert one == other
    with pytest.raises(ValidationError, match="frozen"):
        one.seeds = (3,)  # type: ignore[misc]


def test_published_sweeps_and_jobs_load(root: Path) -> None:
    sweeps = sorted((root / "specs").glob("*.yaml"))
    assert len(sweeps) >= 4
    for path in sweeps:
        spec = load_spec(path, {"sweep": SweepSpec})[0]
        assert spec.name == path.stem.replace("_", "-").lower()
    assert load_spec(root / "jobs" / "finetune.yaml", {"finetune": FinetuneSpec})[0].task


@given(st.permutations(SPEC.splitlines()[:5]))
@settings(max_examples=10, deadline=None)
def test_the_order_of_keys_does_not_matter(lines: list[str]) -> None:
    text = "\n".join([*lines, *SPEC.splitlines()[5:]]) + "\n"
    whole = validate(parse_document(SPEC, Path("s.yaml")), SweepSpec)
    assert validate(parse_document(text, Path("s.yaml")), SweepSpec) == whole
