"""The readers on real public files, where they are (GFMP_BENCHMARK_DATA names their folder)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from public_rows import read

from gfmp.storage.workspace import Workspace
from gfmp.tasks.catalogue import TaskTarget, find_task
from gfmp.tasks.store import TaskStore

VARIABLE = "GFMP_BENCHMARK_DATA"
pytestmark = pytest.mark.skipif(
    VARIABLE not in os.environ, reason=f"{VARIABLE} does not name the benchmark files"
)
SPECS = Path(__file__).parents[2] / "specs" / "tasks"
WHOLE = {
    "gue_tf_0": "tf/0",
    "gue_tf_2": "tf/2",
    "gue_mouse_0": "mouse/0",
    "gue_mouse_3": "mouse/3",
    "gue_prom_core_tata": "prom/prom_core_tata",
    "gue_prom_300_tata": "prom/prom_300_tata",
}


def _data() -> Path:
    return Path(os.environ[VARIABLE]).resolve()


@pytest.mark.parametrize("name", WHOLE)
def test_rows_of_gue_are_as_many_as_published(name: str, tmp_path: Path) -> None:
    spec = find_task(str(SPECS / f"{name}.yaml"), SPECS, check_files=False).spec
    source = spec.source.model_copy(update={"path": str(_data() / "gue" / WHOLE[name])})
    target = TaskTarget(name, spec.model_copy(update={"source": source}), SPECS / f"{name}.yaml")
    task = TaskStore(Workspace(tmp_path)).prepare(target)
    assert task.facts["published"] == "the rows are as many as published"
    assert "unverified" not in task.facts


def test_every_ref_of_the_eight_elements_is_the_reference(tmp_path: Path) -> None:
    folder = _data() / "cagi5"
    source = (
        f"{{format: measured_variants, variants: {{all: {{path: {folder}/variants.vcf.gz}}}}, "
        f"reference: {{path: {folder}/elements.fa}}}}"
    )
    target = "{kind: regression, columns: [effect]}"
    pool = read(tmp_path, source, target, "metric: pearson_r\nsplit: {by: group}\n")
    assert len(pool.rows) == 8_629
    assert len(set(pool.rows.groups)) == 8
    assert np.isfinite(pool.rows.matrix).all()


def test_rna_is_read_as_dna(tmp_path: Path) -> None:
    path = _data() / "regression" / "tis_efficiency.tsv.gz"
    source = f"{{format: tsv, files: {{all: {{path: {path}}}}}}}"
    target = "{kind: regression, columns: [efficiency]}"
    pool = read(tmp_path, source, target, "metric: pearson_r\nsplit: {by: random}\n")
    assert len(pool.rows) == 65_536 and pool.counts.uracil > 190_000
    assert {len(sequence) for sequence in pool.rows.sequences} == {11}
