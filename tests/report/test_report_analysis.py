"""Points, models and comparisons of made-up sweeps with known answers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from made_up_sweeps import DEMO, Learned, Sweep, cell_of, facts_of, labels, noisy, result_of

from gfmp.errors import CorruptArtefactError
from gfmp.report.analysis import Model, analyse
from gfmp.report.answers import (
    best_models,
    overall,
    percents_text,
    pretraining_answers,
    totals,
    vocabulary_answers,
)
from gfmp.report.bootstrap import Estimate
from gfmp.report.comparisons import Comparison, Findings
from gfmp.report.data import SweepData, TaskFacts
from gfmp.spec.learner import Finetuning, Probe
from gfmp.tasks.metrics import score
from gfmp.tasks.task import Rows, Target, Task


def findings(data: SweepData, num_replicates: int = 60) -> Findings:
    return Findings.of(analyse(data, num_replicates))


def test_points_hold_the_mean_over_seeds_of_the_plain_scores() -> None:
    data = Sweep(tasks=("species",), num_test=80, percents=(1.0, 10.0)).data()
    analysis = analyse(data, 20)
    assert len(analysis.points) == len(DEMO) * 2
    for point in analysis.points:
        plain = [
            score("mcc", data.tasks["species"].test_targets, result.test_predictions)
            for cell, result in data.finished
            if (cell.model, cell.label_percent) == (point.model.name, point.percent)
        ]
        assert analysis.main(point).value == pytest.approx(np.mean(plain), abs=1e-12)
        assert point.seeds == (1, 2, 3)
        assert point.num_rows == 20 * point.percent


def test_the_order_in_which_cells_finished_changes_nothing() -> None:
    data = Sweep(tasks=("species",), num_test=60, percents=(1.0,)).data()
    turned = dataclasses.replace(data, finished=data.finished[::-1] + data.finished[:3])
    for one, other in zip(analyse(data, 20).points, analyse(turned, 20).points, strict=True):
        assert one.model == other.model
        np.testing.assert_array_equal(one.scores["mcc"].values, other.scores["mcc"].values)


def test_a_cell_more_changes_no_other_number() -> None:
    data = Sweep(tasks=("species",), num_test=60, percents=(1.0, 3.0)).data()
    fewer = dataclasses.replace(data, finished=data.finished[:-3])
    known = {(p.model, p.percent): p for p in analyse(data, 20).points}
    for point in analyse(fewer, 20).points:
        values = known[point.model, point.percent].scores["mcc"].values
        np.testing.assert_array_equal(point.scores["mcc"].values, values)


def test_models_are_pretrained_scratch_or_baseline() -> None:
    analysis = analyse(Sweep(tasks=("species",), num_test=40, percents=(1.0,)).data(), 5)
    families = [model.family for model in analysis.models]
    assert families == ["pretrained"] * 4 + ["scratch"] * 2 + ["baseline"] * 2


def test_learners_that_differ_in_settings_only_are_told_apart() -> None:
    targets = labels(60)
    slow = Learned(Finetuning(kind="finetune", learning_rate=1e-5), "kmer6", "pretrained", 1.0)
    fast = Learned(Finetuning(kind="finetune", learning_rate=1e-4), "kmer6", "pretrained", 1.0)
    cells = [cell_of("species", learned, 10.0, 1) for learned in (slow, fast)]
    finished = tuple((cell, result_of(cell, noisy(targets, 1.0, 1))) for cell in cells)
    data = SweepData("search", "run", (), {"species": facts_of(targets)}, finished, ())
    names = {model.name for model in analyse(data, 10).models}
    assert len(names) == 2
    assert all(name.startswith("full / kmer6 / pretrained #") for name in names)


def test_predictions_of_another_shape_are_refused() -> None:
    data = Sweep(tasks=("species",), num_test=40, percents=(1.0,)).data()
    cell, result = data.finished[0]
    short = dataclasses.replace(result, test_predictions=result.test_predictions[:-1])
    with pytest.raises(CorruptArtefactError, match=r"shape \(39, 2\), not \(40, 2\)") as caught:
        analyse(dataclasses.replace(data, finished=((cell, short),)), 5)
    assert "--resume" in caught.value.problems[0].fix


def test_the_best_vocabulary_is_named_only_where_it_is_shown() -> None:
    strong = Learned(Probe(kind="probe"), "bpe4096", "pretrained", 3.0)
    weak = Learned(Probe(kind="probe"), "kmer6", "pretrained", 0.5)
    found = findings(Sweep(("species",), (strong, weak), (1.0, 100.0), num_test=400).data(), 200)
    by_percent = {group.setting.percent: group.scores for group in found.vocabularies}
    assert [one.best for one in by_percent[100.0]] == [True, False]
    lead = by_percent[100.0][0].lead
    assert lead is not None
    assert lead.low > 0
    twin = dataclasses.replace(weak, vocabulary="bpe4096")
    even = findings(Sweep(("species",), (twin, weak), (1.0,), num_test=200).data(), 200)
    assert not any(one.best for one in even.vocabularies[0].scores)
    assert "no vocabulary is shown to be best at 1 %" in vocabulary_answers(even)[0]
    assert "bpe4096 is best at" in vocabulary_answers(found)[0]


def test_a_vocabulary_alone_is_never_best() -> None:
    found = findings(Sweep(("species",), DEMO[:1], (1.0,), num_test=50).data())
    (only,) = found.vocabularies[0].scores
    assert (only.rivals, only.lead, only.best) == (0, None, False)
    assert vocabulary_answers(found) == []


def test_answers_say_where_pretraining_does_not_pay() -> None:
    data = Sweep(("species",), DEMO, (1.0, 100.0), num_test=600).data()
    found = findings(data, 200)
    said = {text.split(":")[1].strip(): text for text in pretraining_answers(found)}
    strong = said["full / bpe4096 / pretrained against full / bpe4096 / scratch"]
    assert "better at 1 and 100 % of labels" in strong
    lost = Sweep(("species",), (DEMO[5], DEMO[6]), (100.0,), num_test=600)
    beaten = dataclasses.replace(DEMO[5], initial="pretrained", strength=0.3)
    found = findings(dataclasses.replace(lost, learned=(beaten, DEMO[6])).data(), 200)
    assert "WORSE at 100 % of labels" in pretraining_answers(found)[0]
    assert totals(found) == [("full / kmer6 / pretrained", "kmer", 1, 0, 1, 0)]
    assert "better in 0 of 1 comparisons" in overall(found)[0]


def test_pretrained_models_meet_scratch_of_their_vocabulary_and_every_baseline() -> None:
    found = findings(Sweep(("species",), DEMO, (1.0,), num_test=40).data())
    pairs = {(one.model.name, one.reference.name) for one in found.comparisons}
    assert len(pairs) == 4 * 3
    assert ("probe / kmer6 / pretrained", "full / kmer6 / scratch") in pairs
    assert ("probe / kmer6 / pretrained", "full / bpe4096 / scratch") not in pairs


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.1, 0.2, "better"),
        (-0.2, -0.1, "worse"),
        (-0.1, 0.1, "not decided"),
        (0, 0, "not decided"),
    ],
)
def test_verdicts_follow_the_interval(low: float, high: float, verdict: str) -> None:
    model = Model("a", "probe", "v", "p")
    estimate = Estimate((low + high) / 2, low, high, 3, 10)
    assert Comparison("t", model, model, 1.0, estimate).verdict == verdict
    unknown = dataclasses.replace(estimate, low=float("nan"), high=float("nan"))
    assert Comparison("t", model, model, 1.0, unknown).verdict == "undefined"


def test_the_best_model_is_shown_only_above_all_others() -> None:
    found = findings(
        Sweep(("species",), (DEMO[2], DEMO[7]), (1.0, 100.0), num_test=500).data(), 200
    )
    at_all = {percent: (model, shown) for _, percent, model, shown in best_models(found)}
    assert at_all[100.0] == ("full / bpe4096 / pretrained", True)
    alone = findings(Sweep(("species",), (DEMO[2],), (1.0,), num_test=50).data())
    assert best_models(alone)[0][3] is False


def test_percents_read_like_a_sentence() -> None:
    assert percents_text([3.0]) == "3 %"
    assert percents_text([100.0, 0.5, 3.0]) == "0.5, 3 and 100 %"


@pytest.mark.parametrize(
    ("target", "targets", "counts"),
    [
        (Target("binary", ("no", "yes")), [[0], [1], [1]], {"no": 1, "yes": 2}),
        (Target("multiclass", ("a", "b", "c")), [[0], [0], [2]], {"a": 2, "b": 0, "c": 1}),
        (Target("multilabel", ("x", "y")), [[1, np.nan], [1, 1], [0, 0]], {"x": 2, "y": 1}),
        (Target("regression", ("z",)), [[0.5], [1.5], [2.5]], {}),
    ],
)
def test_facts_are_read_off_a_task(
    target: Target, targets: list[list[float]], counts: dict[str, int]
) -> None:
    rows = Rows((b"A",) * 3, np.array(targets, dtype=np.float32), ("o",) * 3, ("",) * 3)
    task = Task("t", target, "mcc", ("auroc",), rows, rows, rows, "f" * 64, {"licence": "CC0"})
    facts = TaskFacts.of(task)
    assert (facts.num_train, facts.num_test, facts.class_counts) == (3, 3, counts)
    assert (facts.also, facts.facts) == (("auroc",), {"licence": "CC0"})


def test_an_undefined_score_is_never_the_best() -> None:
    targets = labels(60)
    broken = noisy(targets, 1.0, 1)
    broken[0] = np.nan
    guesses = {DEMO[0]: broken, DEMO[1]: noisy(targets, 1.0, 2)}
    cells = [(cell_of("species", learned, 1.0, 1), g) for learned, g in guesses.items()]
    finished = tuple((cell, result_of(cell, guess)) for cell, guess in cells)
    data = SweepData("s", "r", (), {"species": facts_of(targets)}, finished, ())
    assert best_models(findings(data, 10))[0][2] == "probe / kmer6 / pretrained"
    nothing = dataclasses.replace(data, finished=finished[:1])
    assert best_models(findings(nothing, 10)) == [("species", 1.0, "undefined", False)]
