"""What a worker opens is what the run was planned with, or nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cluster_world import World, make_world

from gfmp.cluster.inputs import RunInputs
from gfmp.errors import CorruptArtefactError, GfmpError, MissingInputError, VocabularyError
from gfmp.feed.feed import Feed
from gfmp.ledger.run import Run
from gfmp.storage.atomic import read_json, write_json
from gfmp.vocabulary.ensemble import Ensemble


def test_what_was_saved_is_opened(world: World, planned: Run) -> None:
    inputs = RunInputs.open(planned.path)
    assert inputs.plan == planned.plan() == world.plan()
    assert inputs.corpus.fingerprint == world.corpus().fingerprint == inputs.plan.what.corpus
    assert [v.name for v in inputs.ensemble.vocabularies] == ["bpe64", "kmer3"]
    assert inputs.ensemble.size == inputs.plan.what.vocabulary_rows
    for tokenizer, vocabulary in zip(inputs.tokenizers, inputs.ensemble.vocabularies, strict=True):
        ids = tokenizer.encode([b"ACGTTGCA"]).ids
        assert ids.max() < vocabulary.size
        assert tokenizer.decode(ids) == b"ACGTTGCA"


def test_the_feed_is_that_of_the_plan(planned: Run) -> None:
    inputs = RunInputs.open(planned.path)
    own = Feed(inputs.plan.what.feed, inputs.corpus, inputs.ensemble, inputs.tokenizers)
    for step in (0, 9):
        made = [batch.to_bytes() for batch in inputs.feed().step(step, 0, 1, 2)]
        assert made == [batch.to_bytes() for batch in own.step(step, 0, 1, 2)]


def test_runs_that_mask_otherwise_are_scored_on_the_same_windows(
    world: World, planned: Run
) -> None:
    plain = planned
    other = world.run("masking={fraction: 0.4, mask_fraction: 0.5, random_fraction: 0.5}")
    assert plain.header.what_fingerprint != other.header.what_fingerprint
    one, two = (RunInputs.open(run.path).heldout() for run in (plain, other))
    for vocabulary in (0, 1):
        scored = one.batch(vocabulary, 0, 4)
        assert scored.batch.to_bytes() == two.batch(vocabulary, 0, 4).batch.to_bytes()
        assert len(np.unique(scored.batch.ids[scored.batch.positions])) == 1  # all are [MASK]
    feeds = [RunInputs.open(run.path).feed().step(0, 0, 1, 1)[0] for run in (plain, other)]
    assert feeds[0].to_bytes() != feeds[1].to_bytes()


def test_a_placement_changes_where_and_keeps_the_plan(copied: Run) -> None:
    written = copied.plan_path.read_bytes()
    first = copied.plan().where
    for workers in (3, 2):
        RunInputs.place(copied.path, replace(first, workers=workers, engine="zero2"))
        opened = RunInputs.open(copied.path).plan
        assert opened.where == replace(first, workers=workers, engine="zero2")
        assert opened.what == copied.plan().what
    assert copied.plan_path.read_bytes() == written


def test_the_job_is_found_again_from_any_folder(
    world: World, copied: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    inputs = RunInputs.open(copied.path)
    monkeypatch.chdir(world.folder)
    RunInputs.save(copied.path, inputs.corpus, inputs.ensemble, Path("job.yaml"))
    monkeypatch.chdir(tmp_path)
    assert RunInputs.job_path(copied.path) == world.job.resolve()


def test_another_corpus_is_refused(world: World, copied: Run, tmp_path: Path) -> None:
    other = make_world(tmp_path, seed=1).corpus()
    inputs = RunInputs.open(copied.path)
    RunInputs.save(copied.path, other, inputs.ensemble, world.job)
    with pytest.raises(CorruptArtefactError) as caught:
        RunInputs.open(copied.path)
    (problem,) = caught.value.problems
    assert problem.message == f"the corpus has fingerprint {other.fingerprint[:12]}"
    assert problem.why == f"the run was planned with {inputs.corpus.fingerprint[:12]}"
    assert problem.where == str(copied.path)
    assert "restore that corpus" in problem.fix


def test_the_same_content_in_another_folder_is_the_same_corpus(
    world: World, copied: Run, tmp_path: Path
) -> None:
    moved = make_world(tmp_path).corpus()
    inputs = RunInputs.open(copied.path)
    assert moved.path != inputs.corpus.path
    RunInputs.save(copied.path, moved, inputs.ensemble, world.job)
    assert RunInputs.open(copied.path).corpus.path == moved.path


@pytest.mark.parametrize("order", [(0,), (1, 0)])
def test_another_ensemble_is_refused(world: World, copied: Run, order: tuple[int, ...]) -> None:
    inputs = RunInputs.open(copied.path)
    other = Ensemble.of(tuple(inputs.ensemble.vocabularies[i] for i in order))
    RunInputs.save(copied.path, inputs.corpus, other, world.job)
    with pytest.raises(CorruptArtefactError, match=other.fingerprint[:12]) as caught:
        RunInputs.open(copied.path)
    assert caught.value.problems[0].message.startswith("the ensemble has fingerprint")


def test_a_corpus_that_is_gone_is_missing(own_world: World) -> None:
    run = own_world.run()
    corpus = RunInputs.open(run.path).corpus
    corpus.path.rename(corpus.path.with_name("elsewhere"))
    with pytest.raises(MissingInputError) as caught:
        RunInputs.open(run.path)
    assert str(corpus.path) in caught.value.problems[0].where


def test_a_damaged_corpus_is_seen_before_the_first_step(own_world: World) -> None:
    run = own_world.run()
    shard = next(RunInputs.open(run.path).corpus.path.rglob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(CorruptArtefactError) as caught:
        RunInputs.open(run.path)
    assert str(shard) in caught.value.problems[0].where


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("inputs.json", "{"),
        ("inputs.json", "[]"),
        ("inputs.json", "{}"),
        ("placement.json", ""),
        ("placement.json", '{"workers": 1}'),
        ("plan.json", '{"format_version": 2}'),
    ],
)
def test_a_changed_file_of_the_run_is_named(copied: Run, name: str, text: str) -> None:
    RunInputs.place(copied.path, copied.plan().where)
    (copied.path / name).write_text(text)
    with pytest.raises(CorruptArtefactError) as caught:
        RunInputs.open(copied.path)
    (problem,) = caught.value.problems
    assert problem.message
    assert problem.why
    assert problem.fix
    assert name in problem.where or "format version" in problem.message


def test_a_run_killed_while_it_was_created_is_told_apart(copied: Run) -> None:
    (copied.path / "inputs.json").unlink()
    with pytest.raises(MissingInputError) as caught:
        RunInputs.open(copied.path)
    assert caught.value.problems[0].where == str(copied.path / "inputs.json")
    assert "for a new run" in caught.value.problems[0].fix


@pytest.mark.parametrize("key", ["corpus_path", "job_path", "ensemble"])
def test_every_key_of_the_inputs_is_needed(copied: Run, key: str) -> None:
    stored = read_json(copied.path / "inputs.json")
    del stored[key]
    write_json(copied.path / "inputs.json", stored)
    with pytest.raises(CorruptArtefactError, match=key):
        RunInputs.open(copied.path)
    if key == "job_path":
        with pytest.raises(CorruptArtefactError, match=key):
            RunInputs.job_path(copied.path)


def test_a_word_changed_in_the_stored_ensemble_is_noticed(copied: Run) -> None:
    path = copied.path / "inputs.json"
    stored = json.loads(path.read_text())
    words = stored["ensemble"]["vocabularies"][1]["words"]
    words[0], words[1] = words[1], words[0]
    path.write_text(json.dumps(stored))
    with pytest.raises(GfmpError) as caught:
        RunInputs.open(copied.path)
    assert isinstance(caught.value, (CorruptArtefactError, VocabularyError))
