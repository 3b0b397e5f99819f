"""Motifs that were planted are found through the attention of models that learned them."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from motif_samples import (
    CPU,
    PLANTED,
    model,
    planted_starts,
    planted_task,
    random_rows,
    texts,
    trained,
    vocabularies,
)

from gfmp.errors import DataError
from gfmp.genome.motif_files import meme_text
from gfmp.genome.motif_library import MotifLibrary, read_library
from gfmp.genome.motifs import Motif
from gfmp.inference import motif_maps
from gfmp.inference.attribution_rows import RowReader
from gfmp.inference.attribution_target import Explained
from gfmp.inference.motif_job import Findings, MotifWork
from gfmp.inference.motif_maps import Explainer, Maps
from gfmp.inference.motif_match import best_matches
from gfmp.learners.finetuned import Finetuned
from gfmp.plan.cells import Ingredient
from gfmp.plan.motifs import ModelFacts, MotifFacts, RowFacts, resolve_motifs
from gfmp.spec.model import Architecture
from gfmp.spec.motifs import MAPS, MapName, MotifsSpec
from gfmp.tasks.task import Rows, Target, Task

WORD = PLANTED.decode()
MATCHER = pytest.mark.skipif(
    importlib.util.find_spec("memelite") is None or importlib.util.find_spec("pyjaspar") is None,
    reason="gfmp[motifs] is not installed",
)


class Patient:
    """Counts rows and never stops."""

    def __init__(self, stop_at: int = 10**9) -> None:
        self.rows = 0
        self._stop_at = stop_at

    def read(self, rows: int, total: int) -> None:
        """Take note."""
        assert rows <= total
        self.rows = rows

    def stopping(self) -> bool:
        """Return True from some row on."""
        return self.rows >= self._stop_at


def work(made: Finetuned, task: Task, **changes: object) -> MotifWork:
    """Return a job on a task's test rows."""
    asked = {"kind": "motifs", "name": "made", "model": "made", "rows_shown": 0, **changes}
    spec = MotifsSpec.model_validate(asked)
    facts = MotifFacts(
        ModelFacts(
            Ingredient("made", "m" * 64),
            "/made",
            Ingredient(task.name, task.fingerprint),
            tuple(Ingredient(v.name, v.fingerprint) for v in made.initial.ensemble.vocabularies),
            task.target.names[-1],
            len(task.target.names) - 1,
            task.target.kind,
        ),
        RowFacts(120, 120, 80.0),
        Ingredient(),
        0,
        1,
    )
    return MotifWork(resolve_motifs(spec, facts), made, task, CPU)


def done(made: Finetuned, task: Task, **changes: object) -> Findings:
    with CPU.engaged():
        found = work(made, task, **changes).run(Patient())
    assert found is not None
    return found


@pytest.mark.parametrize("name", ["kmer4", "bpe", "both"])
def test_a_planted_motif_is_first_with_its_width_and_strand(name: str) -> None:
    found = done(model(name), planted_task())
    first = found.motifs[0]
    assert first.motif.consensus == WORD and first.motif.width == len(WORD)
    assert first.num_forward == len(first.sites) >= 60, "of 84 positive rows that are searched"
    assert (first.tested.positives, first.tested.negatives) == (36, 0) and first.q < 1e-15
    assert all(other.q > 1e-3 for other in found.motifs[1:])
    assert first.focus > 1.05
    starts = planted_starts()
    for site in first.sites:
        row = int(site.origin.split(":")[1].split("-")[0])
        assert (site.start, site.sequence) == (starts[row], WORD)


@pytest.mark.parametrize("name", MAPS)
def test_every_map_leads_to_it(name: MapName) -> None:
    rows = 40 if name in ("mutagenesis", "integrated_gradients") else 120
    law = {"min_sites": 5, "fdr": 0.005}
    found = done(model("kmer4"), planted_task(), map=name, max_rows=rows, search=law)
    assert found.motifs[0].motif.consensus == WORD
    assert 0.05 < found.candidate_fraction < 0.5


def test_rows_are_shown_with_every_attribution() -> None:
    found = done(model("bpe"), planted_task(), rows_shown=2, map="pooled")
    assert len(found.rows) == 2
    first = found.rows[0]
    assert first.score >= found.rows[1].score
    assert list(first.tracks) == [
        "attention (pooled)",
        "integrated gradients",
        "mutagenesis: mean loss",
    ]
    assert all(len(track) == len(first.sequence) for track in first.tracks.values())
    assert first.completeness.complete
    total = float(first.tracks["integrated gradients"].sum())
    change = first.score - first.completeness.baseline
    assert total == pytest.approx(change, rel=0.011)


def test_a_job_that_is_asked_to_stop_stops() -> None:
    with CPU.engaged():
        assert work(model("kmer4"), planted_task()).run(Patient(stop_at=1)) is None


def test_what_both_classes_have_is_no_motif_wherever_the_model_looks() -> None:
    task = planted_task()
    have = task.test.take(np.arange(1, len(task.test), 2))
    labels = (np.arange(len(have)) % 2)[:, None].astype(np.float32)
    told = replace(task, test=replace(have, targets=labels), fingerprint="d" * 64)
    assert done(model("kmer4"), told).motifs == ()


def profile(name: str) -> Motif:
    library = read_library("jaspar_vertebrates", Path())
    return next(one for one in library.motifs if one.name.endswith(f" {name}"))


def soft_rows(motif: Motif, num_rows: int, seed: int) -> Rows:
    """Return rows of which every second has a site drawn from a motif, on either strand."""
    generator = np.random.default_rng(seed)
    letters = random_rows(num_rows, 80, seed + 1)
    for row in range(1, num_rows, 2):
        drawn = [int(generator.choice(4, p=place)) for place in motif.frequencies]
        drawn = drawn if generator.random() < 0.5 else [3 - base for base in drawn][::-1]
        start = int(generator.integers(0, 80 - len(drawn) + 1))
        letters[row, start : start + len(drawn)] = [b"ACGT"[base] for base in drawn]
    labels = (np.arange(num_rows) % 2)[:, None].astype(np.float32)
    origins = tuple(f"soft{seed}:{row}-{row + 1}:+" for row in range(num_rows))
    return Rows(tuple(texts(letters)), labels, origins, ("",) * num_rows)


@MATCHER
@pytest.mark.long
@pytest.mark.parametrize("words", ["kmer6", "bpe"])
@pytest.mark.parametrize("name", ["CTCF", "JDP2"])
def test_a_planted_profile_of_jaspar_is_found_and_named(name: str, words: str) -> None:
    motif = profile(name)
    parts = [soft_rows(motif, n, seed) for n, seed in ((4_000, 1), (400, 2), (1_000, 3))]
    target = Target("binary", ("background", "bound"))
    task = Task(f"planted-{name}", target, "mcc", (), *parts, fingerprint="c" * 64)
    made = trained(
        task, vocabularies(words), 8, Architecture(layers=2, width=64, heads=4, intermediate=128)
    )
    found = done(made, task, max_rows=500)
    first = found.motifs[0]
    library = read_library("jaspar_vertebrates", Path())
    (matches,) = best_matches([first.motif], library, 3)
    # JDP2 and its relatives read nearly the same: the profile is one of the three best.
    (own,) = [match for match in matches if match.target == motif.name]
    assert own.q < 1e-3 and first.q < 1e-15
    assert abs(first.motif.width - motif.width) <= 2 and own.overlap >= motif.width - 2


@pytest.mark.skipif(importlib.util.find_spec("memelite") is None, reason="gfmp[motifs] is missing")
def test_a_found_motif_is_named_by_an_own_library(tmp_path: Path) -> None:
    generator = np.random.default_rng(5)
    others = [Motif(f"OWN{n} random", generator.dirichlet([0.3] * 4, 10) * 40) for n in range(30)]
    planted = Motif("OWN99 planted", np.eye(4)[["ACGT".index(x) for x in WORD]] * 40 + 2)
    (tmp_path / "own.meme").write_text(meme_text([*others, planted.reverse_complement()]))
    library: MotifLibrary = read_library("own.meme", tmp_path)
    first = done(model("kmer4"), planted_task()).motifs[0]
    ((best, second),) = best_matches([first.motif], library, 2)
    assert best.target == "OWN99 planted" and best.reverse and best.shift == 0
    assert best.overlap == len(WORD) and best.p < 1e-8 < second.p


def test_a_job_reads_its_library_and_refuses_another(tmp_path: Path) -> None:
    pytest.importorskip("memelite")
    own = Motif("OWN1", np.eye(4)[["ACGT".index(x) for x in WORD]] * 40 + 2)
    (tmp_path / "own.meme").write_text(meme_text([own]))
    job = work(model("kmer4"), planted_task())
    where = replace(job.plan.where, library=str(tmp_path / "own.meme"))
    library = read_library("own.meme", tmp_path)
    what = replace(job.plan.what, library=library.fingerprint)
    with CPU.engaged():
        found = replace(job, plan=replace(job.plan, where=where, what=what)).run(Patient())
    assert found is not None and found.library is not None and found.library.few
    assert found.motifs[0].matches[0].target == "OWN1"
    with CPU.engaged(), pytest.raises(DataError, match="is not what it was"):
        replace(job, plan=replace(job.plan, where=where)).run(Patient())


def test_maps_come_some_rows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    made, task = model("bpe"), planted_task()
    explainer = Explainer(made, RowReader(made), Explained(made.target, 1), CPU)
    rows = task.test.sequences[:7]
    (whole,) = explainer.maps(rows, "rollout")
    monkeypatch.setattr(motif_maps, "ROWS_AT_A_TIME", 3)
    parts: list[Maps] = list(explainer.maps(rows, "rollout"))
    assert [len(part) for part in parts] == [3, 3, 1]
    for one, other in zip(whole, [m for part in parts for m in part], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
