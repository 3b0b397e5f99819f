"""What a motif job may ask."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gfmp.errors import SpecError
from gfmp.report.motif_page import MAPS as SAID
from gfmp.spec.load import load_spec
from gfmp.spec.motifs import MAPS, MotifsSpec

JOB = "kind: motifs\nname: made\nmodel: planted\n"


def read(folder: Path, text: str) -> MotifsSpec:
    path = folder / "job.yaml"
    path.write_text(text)
    return load_spec(path, {"motifs": MotifsSpec})[0]


def test_a_model_is_all_it_needs(tmp_path: Path) -> None:
    spec = read(tmp_path, JOB)
    assert (spec.map, spec.split, spec.library, spec.output) == ("rollout", "test", "", "")
    assert spec.search.word_bp == 6 and spec.search.both_strands and spec.search.fdr == 0.005
    assert spec.regions.shortest_bp == 5, "as in DNABERT-viz"
    again = MotifsSpec.model_validate_json(json.dumps(spec.model_dump(mode="json")))
    assert again == spec


def test_every_map_is_told_on_the_page() -> None:
    assert set(SAID) == set(MAPS)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("map: rolout", "rollout"),
        ("split: all", "test"),
        ("search: {word_bp: 9}", "less than or equal to 8"),
        ("search: {words: 6}", "word_bp"),
        ("search: {fdr: 0.0}", "greater than 0"),
        ("regions: {shortest_bp: 0}", "greater than or equal to 1"),
        ("held_out_fraction: 1.0", "0.9"),
        ("max_rows: 3", "10"),
        ("rows_shown: 21", "20"),
        ("librari: x", "library"),
        ("seed: -1", "greater than or equal to 0"),
    ],
)
def test_faults_are_told_with_place_and_rule(line: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read(tmp_path, JOB + line + "\n")
    (problem,) = caught.value.problems
    assert "job.yaml:4" in problem.where
    assert said in f"{problem.why} {problem.fix}"
