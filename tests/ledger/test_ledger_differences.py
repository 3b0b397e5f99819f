"""Runs side by side: what differs, and only that; what a run refers to, of whatever version."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.cli.main import gfmp
from gfmp.errors import CorruptArtefactError, UsageError
from gfmp.ledger.cells import CellResult, CellStore
from gfmp.ledger.differences import Described, Line, compare, describe, planned
from gfmp.ledger.header import NewRun
from gfmp.ledger.references import references_of
from gfmp.ledger.run import Run
from gfmp.ledger.store import RunStore
from gfmp.plan.cells import Cell, Ingredient
from gfmp.spec.learner import Probe
from gfmp.storage.atomic import write_json
from gfmp.storage.hashes import fingerprint
from gfmp.storage.workspace import Workspace


def _cell(seed: int, percent: float = 100.0) -> Cell:
    made = [Ingredient(name, fingerprint(name)) for name in ("task", "kmer6", "demo")]
    return Cell(*made, Probe(kind="probe"), percent, seed, fingerprint([seed, percent]), 10)


def _run(
    workspace: Workspace, kind: str, plan: dict[str, object], inputs: Mapping[str, object]
) -> Run:
    new = NewRun("made", kind, 0, fingerprint(plan), b"kind: x\n", plan, ("gfmp",))
    return RunStore(workspace).create(
        new, lambda folder: write_json(folder / "inputs.json", inputs)
    )


def _pretrain(workspace: Workspace, steps: int, bits: float) -> Run:
    what = {"corpus": "c" * 64, "steps": steps, "feed": {"weights": [0.9, 0.1]}}
    derived = [{"name": "tokens", "value": steps * 10, "unit": "", "reason": "so"}]
    plan: dict[str, object] = {"name": "made", "what": what, "derived": derived}
    inputs = {"ensemble": {"vocabularies": [{"name": "kmer6"}]}}
    run = _run(workspace, "pretrain", plan, inputs)
    with run.open_writer("driver") as driver, run.open_writer("rank0") as rank0:
        driver.append("started", {"segment": 0})
        numbers = {"step": steps, "report/kmer6/bits_per_base": bits}
        rank0.append("report", numbers | {"report/kmer6/bits_minus_order0/low": -bits})
        driver.append("finished", {"step": steps})
    return run


def _sweep(workspace: Workspace, cells: list[Cell], scores: list[float]) -> Run:
    for one, score in zip(cells, scores, strict=False):
        metrics = {"test/mcc": score, "valid/mcc": 1.0}
        found = CellResult(one.fingerprint, metrics, {}, np.zeros((1, 2), np.float32))
        CellStore(workspace).put(found, one.to_json())
    plan: dict[str, object] = {"name": "made", "cells": [one.to_json() for one in cells]}
    return _run(workspace, "sweep", plan, {"pretrained": {"demo": "demo-1"}})


def test_only_what_differs_in_the_plan_is_told(workspace: Workspace) -> None:
    runs = [_pretrain(workspace, 10, 1.95), _pretrain(workspace, 20, 1.9)]
    found = compare([describe(run, workspace) for run in runs])
    plan = {line.name: line.values for line in found.plan}
    assert plan == {"what.steps": (10, 20), "derived.tokens": (100, 200)}
    result = {line.name: line for line in found.result}
    bits = result["report/kmer6/bits_per_base"]
    assert bits.values == (1.95, 1.9)
    assert bits.changes == (0.0, pytest.approx(-0.05))
    assert result["status"].values == ("finished", "finished")
    assert result["status"].changes == (None, None)


def test_scores_of_a_sweep_are_means_over_seeds(workspace: Workspace) -> None:
    run = _sweep(workspace, [_cell(0), _cell(1), _cell(0, 1.0), _cell(2)], [0.25, 0.75, 0.5])
    found = describe(run, workspace)
    assert found.result["task | probe / kmer6 / demo | 100 % | mcc"] == 0.5
    assert found.result["task | probe / kmer6 / demo | 1 % | mcc"] == 0.5
    assert not any("valid" in name for name in found.result)
    assert found.plan["seeds"] == "0, 1, 2"
    assert found.plan["label_percents"] == "1, 100"
    assert found.plan["cells"] == 4


def test_a_plan_of_an_earlier_gfmp_is_read_by_the_names_it_gave(workspace: Workspace) -> None:
    old = _cell(0).to_json()
    old |= {"fingerprint": "1" * 64}
    del old["numerics"]
    run = _run(workspace, "sweep", {"name": "made", "cells": [old]}, {"pretrained": {}})
    assert [name for name, _ in planned(run)] == ["1" * 64]
    assert references_of(run).cells == {"1" * 64}


def test_references_are_contents_and_ids(workspace: Workspace) -> None:
    one = _cell(0)
    base = _cell(5).to_json()
    plan: dict[str, object] = {"name": "made", "cells": [one.to_json()]}
    plan["searches"] = [{"fingerprint": "5" * 64, "search": {}, "base": base, "samples": [base]}]
    run = _run(workspace, "sweep", plan, {"pretrained": {"demo": "demo-1"}})
    other = replace(_cell(9), also_on=(Ingredient("far", "f" * 64),))
    write_json(run.path / "cells.json", {"cells": [other.to_json()]})
    found = references_of(run)
    assert found.cells == {one.fingerprint, _cell(5).fingerprint, other.fingerprint}
    assert found.searches == {"5" * 64}
    assert found.tasks == {fingerprint("task"), "f" * 64}
    assert found.initials == {fingerprint("demo")}
    assert found.run_ids == {"demo-1"}


def test_references_of_a_pretraining_run(workspace: Workspace) -> None:
    vocabulary = {"name": "kmer6"}
    inputs: dict[str, object] = {"ensemble": {"vocabularies": [vocabulary]}}
    inputs["parent"] = {"run_id": "old", "step": 300}
    run = _run(workspace, "pretrain", {"what": {"corpus": "c" * 64}}, inputs)
    found = references_of(run)
    assert found.runs == {("old", 300)}
    assert found.corpora == {"c" * 64}
    assert found.vocabularies == {fingerprint(vocabulary)}


def test_references_of_variants_and_motifs(workspace: Workspace) -> None:
    scorer = {"name": "llr", "model": {"name": "demo-1", "fingerprint": "d"}, "columns": ["x"]}
    what = {"reference": "e" * 64, "scorers": [scorer]}
    effects = references_of(_run(workspace, "variant_effect", {"what": what}, {}))
    assert (effects.run_ids, effects.letters) == ({"demo-1"}, {"e" * 64})
    model = {
        "model": {"name": "abc", "fingerprint": "a"},
        "folder": "/somewhere/runs/tuned-1/models/abc",
        "task": {"name": "t", "fingerprint": "7" * 64},
        "vocabularies": [{"name": "kmer6", "fingerprint": "6" * 64}],
    }
    motifs = references_of(_run(workspace, "motifs", {"facts": {"model": model}}, {}))
    assert motifs.run_ids == {"abc", "tuned-1"}
    assert (motifs.tasks, motifs.vocabularies) == ({"7" * 64}, {"6" * 64})


@pytest.mark.parametrize(
    ("kind", "plan", "inputs"),
    [
        ("prophecy", {}, {}),
        ("pretrain", {}, {}),
        ("pretrain", {"what": {"corpus": "c"}}, {"ensemble": {"vocabularies": 3}}),
        ("sweep", {"cells": []}, {}),
        ("sweep", {"cells": []}, {"pretrained": ["a"]}),
        ("variant_effect", {"what": {"scorers": []}}, {}),
        ("motifs", {"facts": {}}, {}),
    ],
)
def test_what_cannot_be_read_is_said(
    workspace: Workspace, kind: str, plan: dict[str, object], inputs: dict[str, object]
) -> None:
    run = _run(workspace, kind, plan, inputs)
    with pytest.raises(CorruptArtefactError, match=f"what run {run.id} refers to") as caught:
        references_of(run)
    assert caught.value.problems[0].where == str(run.path)


values = st.sampled_from((None, True, False, 0, 1, 1.0, 0.5, math.nan, math.inf, "", "1", "a"))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.dictionaries(st.sampled_from("abcd"), values), min_size=2, max_size=4))
def test_a_line_is_there_exactly_when_values_differ(mappings: list[dict[str, object]]) -> None:
    described = [Described(str(i), "x", one, one) for i, one in enumerate(mappings)]  # type: ignore[arg-type]  # hypothesis has no type for them
    found = compare(described)
    assert {line.name for line in found.result} == {name for one in mappings for name in one}
    told = {line.name for line in found.plan}
    for name in {name for one in mappings for name in one}:
        said = {repr(one.get(name)) for one in mappings}
        assert (name in told) == (len(said) > 1)


def test_no_change_is_told_of_what_is_no_number() -> None:
    assert Line("x", (1, None, "a", math.nan, True, 3)).changes == (0, None, None, None, None, 2)
    assert Line("x", (None, 2)).changes == (None, None)
    assert not Line("x", (math.nan, math.nan)).differs


def _cli(workspace: Workspace, *words: str) -> str:
    call = ["runs", "compare", *words, "--workspace", str(workspace.root)]
    return CliRunner().invoke(gfmp, call, catch_exceptions=False).output


def test_the_command_fits_a_page_and_a_program(workspace: Workspace) -> None:
    runs = [_pretrain(workspace, n, 2.0 - n / 100) for n in (10, 20, 30)]
    output = _cli(workspace, *(run.id for run in runs))
    lines = output.splitlines()
    assert lines[0] == f"A  {runs[0].id}"
    assert all(len(line) <= 80 for line in lines)
    assert "1.9  1.8 (-0.1)  1.7 (-0.2)" in " ".join(output.split(" ")).replace("    ", "  ")
    assert "/low" not in output and "1 numbers that follow from it: --json" in output
    listed = json.loads(_cli(workspace, *(run.id for run in runs), "--json"))
    assert listed["runs"] == [run.id for run in runs]
    (bits,) = [one for one in listed["result"] if one["name"].endswith("bits_per_base")]
    assert bits["values"] == [1.9, 1.8, 1.7] and bits["changes"][0] == 0.0
    assert "Nothing was planned differently." in _cli(workspace, runs[0].id, runs[0].id)


def test_long_values_stand_below_each_other(workspace: Workspace) -> None:
    inputs = {"pretrained": {}}
    runs = [
        _run(workspace, "sweep", {"note": f"{n} " + "word " * 12, "cells": []}, inputs)
        for n in range(2)
    ]
    output = _cli(workspace, *(run.id for run in runs))
    assert "note\n  A  0 word word" in output
    assert all(len(line) <= 80 for line in output.splitlines())


def test_one_run_alone_is_not_compared(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one run alone") as caught:
        _cli(workspace, "demo")
    assert "gfmp runs compare demo OTHER" in caught.value.problems[0].fix
