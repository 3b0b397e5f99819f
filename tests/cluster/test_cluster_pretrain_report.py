"""Pages of runs: of a model that was really trained, of one that failed, and of what has none."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from cluster_world import World
from garbage_world import cell, say, sweep
from sweep_world import trained

from gfmp.cluster import pretrain_report
from gfmp.cluster.lineage import lineage_of
from gfmp.cluster.pretrain_report import data_of, reported, vocabularies_of
from gfmp.cluster.reports import report
from gfmp.errors import (
    InterruptedRunError,
    MissingInputError,
    StorageError,
    TrainingError,
    UsageError,
)
from gfmp.ledger.header import NewRun
from gfmp.ledger.run import Run
from gfmp.ledger.store import RunStore
from gfmp.plan.cells import Ingredient
from gfmp.report.lineage import Link
from gfmp.storage.atomic import read_json, write_json
from gfmp.storage.workspace import Workspace


@pytest.fixture(scope="module")
def done(world: World) -> Run:
    """A run that the real loop trained to its end."""
    return trained(world)


def words(page: str) -> str:
    """Return what a person reads."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", page)))


def test_the_page_of_a_trained_run_tells_what_its_ledger_does(world: World, done: Run) -> None:
    paths = report(done, world.workspace)
    page = words(paths[0].read_text(encoding="utf-8"))
    assert paths[0] == done.path / "report" / "report.html"
    found = done.report()
    assert found is not None
    for name in ("bpe64", "kmer3"):
        bits = found[f"report/{name}/bits_per_base"]
        assert isinstance(bits, float) and f"{bits:.3f}" in page
    assert f"Run {done.id} is finished at step 4 of 4." in page
    for told in ("small", "to train on", done.repeat_command, "union_tokens", "step-000000004"):
        assert told in page
    again = {path: path.read_bytes() for path in report(done, world.workspace)}
    assert {path: path.read_bytes() for path in paths} == again
    figures = {path.stem for path in paths if path.suffix == ".svg"}
    assert {"bits_per_base", "loss", "heldout_loss", "learning_rate", "throughput"} <= figures


def test_lineage_goes_from_the_corpus_to_the_figures(
    world: World, done: Run, tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path)
    shutil.copytree(world.workspace.corpora, workspace.corpora)
    shutil.copytree(done.path, workspace.runs / done.id)
    run = Run.open(workspace.runs / done.id)
    user = say(sweep(workspace, [cell("t", initial=Ingredient("x", "0"))], [run.id]), "started")
    (user.path / "report" / "figures").mkdir(parents=True)
    (user.path / "report" / "report.html").touch()
    (user.path / "report" / "figures" / "all_tasks.svg").touch()
    stranger = sweep(workspace, [cell("t")], ["another"])
    stages = {s.title: s for s in lineage_of(run, vocabularies_of(run), workspace)}
    assert list(stages) == ["Corpus", "Vocabularies", "Pretraining", "Used by", "Figures"]
    assert [link.name for link in stages["Corpus"].links] == ["small"]
    assert [link.name for link in stages["Vocabularies"].links] == ["bpe64", "kmer3"]
    assert [link.name for link in stages["Used by"].links] == [user.id]
    assert stages["Figures"].links[0].details == (f"runs/{user.id}/report/report.html",)
    assert stranger.id not in str(stages)
    shutil.rmtree(workspace.corpora)
    corpus = lineage_of(run, vocabularies_of(run), workspace)[0].links[0]
    assert corpus.details == ("not in this workspace any more",)


def test_a_run_that_has_not_ended_has_a_page_too(world: World) -> None:
    run = say(world.run(), "started")
    page = words(report(run, world.workspace)[0].read_text(encoding="utf-8"))
    assert "The numbers below are those on record so far." in page
    assert "The held-out report is made when the last step is done." in page
    assert data_of(run, world.workspace).numbers == {}


def test_what_was_killed_while_it_was_created_says_so(world: World, copied: Run) -> None:
    (copied.path / "inputs.json").unlink()
    with pytest.raises(MissingInputError, match="does not say what it works on"):
        data_of(copied, world.workspace)


def test_the_page_is_written_when_a_run_ends_but_not_when_it_goes_on(
    world: World, planned: Run, tmp_path: Path
) -> None:
    said: list[str] = []
    page = planned.path / "report" / "report.html"
    with pytest.raises(InterruptedRunError), reported(planned, world.workspace, said.append):
        raise InterruptedRunError("stopped")
    assert not page.exists() and said == []
    with pytest.raises(TrainingError), reported(planned, world.workspace, said.append):
        raise TrainingError("nan")
    assert page.exists()
    shutil.rmtree(page.parent)
    with reported(planned, world.workspace, said.append):
        pass
    assert page.exists()
    assert said == [f"report: {page}"] * 2
    shutil.rmtree(page.parent)


def test_a_page_that_cannot_be_written_fails_nothing(
    world: World, planned: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def _full(*_: object) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(pretrain_report, "report", _full)
    said: list[str] = []
    with reported(planned, world.workspace, said.append):
        pass
    (line,) = said
    assert "the disk is full" in line and f"`gfmp report {planned.id}` tries again" in line


def test_a_grown_run_names_its_parent(world: World, copied: Run) -> None:
    stored = read_json(copied.path / "inputs.json")
    write_json(copied.path / "inputs.json", stored | {"parent": {"run_id": "young-1", "step": 300}})
    stages = lineage_of(copied, vocabularies_of(copied), world.workspace)
    assert [stage.title for stage in stages][2:4] == ["Grown from", "Pretraining"]
    assert stages[2].links == (Link("young-1", ("step 300",)),)


def test_a_motif_job_has_its_page_once_it_found_them(tmp_path: Path) -> None:
    run = _run(Workspace(tmp_path), "motifs")
    with pytest.raises(MissingInputError, match="has no page yet"):
        report(run, Workspace(tmp_path))
    (run.path / "report").mkdir()
    for name in ("report.html", "motifs.meme"):
        (run.path / "report" / name).touch()
    assert [path.name for path in report(run, Workspace(tmp_path))] == [
        "report.html",
        "motifs.meme",
    ]


def test_a_run_of_an_unknown_kind_has_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a prophecy run"):
        report(_run(Workspace(tmp_path), "prophecy"), Workspace(tmp_path))


def _run(workspace: Workspace, kind: str) -> Run:
    new = NewRun("made", kind, 0, "0" * 64, b"kind: x\n", {"name": "made"}, ("gfmp",))
    return RunStore(workspace).create(new)
