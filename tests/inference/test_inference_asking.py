"""Files of sequences answered in shards: killed, resumed, joined, never twice and never lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from ask_samples import Counting, finetuned_calls, sequences, write_fasta
from click.testing import CliRunner
from inference_samples import CPU, World, random_dna

import gfmp
from gfmp.cli.main import gfmp as command
from gfmp.errors import CorruptArtefactError, DataError, ExistsError, GfmpError, UsageError
from gfmp.inference.answers import Answers, EmbedAnswers, PredictAnswers
from gfmp.inference.asking import Answered, Asking
from gfmp.inference.found import find
from gfmp.inference.loaded import Loaded
from gfmp.inference.predicting import calibration_of
from gfmp.inference.questions import (
    Asked,
    CutRequest,
    Question,
    embed_question,
    predict_question,
    resolve_cut,
)
from gfmp.inference.row_files import RowFile
from gfmp.inference.rows import StretchSize
from gfmp.inference.states import Per

TEXTS = sequences(40, 7)


@pytest.fixture
def asked(world: World) -> World:
    finetuned_calls(world)
    write_fasta(world.folder / "x.fa", TEXTS)
    return world


def asked_of(world: World, name: str, file: str = "x.fa", **cut: int) -> Asked:
    found = find(name, world.workspace)
    wanted = resolve_cut(CutRequest(**cut), found)
    return Asked(found, RowFile.of(world.folder / file), wanted, "cpu")


def small(question: Question, rows: int = 8) -> Question:
    """The same question in small stretches."""
    body = {**vars(question), "size": StretchSize(rows, 10_000)}
    body.pop("fingerprint", None)
    return Question(**body)


def predicting(world: World) -> tuple[Question, Callable[[], Answers]]:
    asked = asked_of(world, "calls")

    def load() -> Answers:
        loaded = Loaded.of(asked.found, CPU)
        return PredictAnswers(loaded, calibration_of(loaded))

    return small(predict_question(asked, calibrated=True)), load


def embedding(
    world: World, per: Per = "sequence", layers: tuple[int, ...] = (-1,)
) -> tuple[Question, Callable[[], Answers]]:
    asked = asked_of(world, "tiny")
    question = embed_question(asked, vocabulary="kmer3", layers=layers, per=per, pool="mean")

    def load() -> Answers:
        return EmbedAnswers(Loaded.of(asked.found, CPU), "kmer3", question.wanted)

    return small(question), load


def run(world: World, question: Question, load: Callable[[], Answers], out: Path) -> Answered:
    with CPU.engaged():
        return Asking(question, out, world.workspace).run(load, Counting())


def test_a_killed_question_goes_on_without_a_row_twice_or_lost(
    asked: World, tmp_path: Path
) -> None:
    question, load = predicting(asked)
    whole = run(asked, question, load, tmp_path / "whole.parquet")
    out = tmp_path / "x.parquet"
    for stop in (5, 20):
        with pytest.raises(KeyboardInterrupt), CPU.engaged():
            Asking(question, out, asked.workspace).run(load, Counting(stop_after=stop))
        assert not out.exists()
    watcher = Counting()
    with CPU.engaged():
        Asking(question, out, asked.workspace).run(load, watcher)
    # 5 rows were lost with their shard, 2 shards of 8 of the second start were kept.
    assert (watcher.before, watcher.now, watcher.joined) == (16, 24, True)
    assert pq.read_table(out).equals(pq.read_table(whole.path))
    assert pq.read_table(out)["name"].to_pylist() == [f"r{i}" for i in range(40)]
    assert sorted(path.name for path in tmp_path.glob("*.*")) == [
        "whole.parquet",
        "whole.parquet.json",
        "x.parquet",
        "x.parquet.json",
    ]


def test_a_damaged_shard_is_computed_again(asked: World, tmp_path: Path) -> None:
    question, load = predicting(asked)
    out = tmp_path / "x.parquet"
    with pytest.raises(KeyboardInterrupt), CPU.engaged():
        Asking(question, out, asked.workspace).run(load, Counting(stop_after=30))
    parts = tmp_path / "x.parquet.parts"
    (parts / "000001.parquet").write_bytes(b"torn")
    watcher = Counting()
    with CPU.engaged():
        Asking(question, out, asked.workspace).run(load, watcher)
    assert (watcher.before, watcher.now) == (16, 24)
    assert pq.read_table(out).num_rows == 40


def test_killed_between_its_last_two_files_it_ends_as_it_would_have(
    asked: World, tmp_path: Path
) -> None:
    question, load = predicting(asked)
    out = tmp_path / "x.parquet"
    with pytest.raises(KeyboardInterrupt), CPU.engaged():
        Asking(question, out, asked.workspace).run(load, Counting(stop_after=40))
    out.write_bytes(b"whole, but nothing stands beside it yet")
    run(asked, question, load, out)
    assert pq.read_table(out).num_rows == 40


def test_what_is_complete_is_not_computed_again(asked: World, tmp_path: Path) -> None:
    question, load = predicting(asked)
    first = run(asked, question, load, tmp_path / "x.parquet")

    def never() -> Answers:
        raise AssertionError("nothing is left to answer")

    again = run(asked, question, never, tmp_path / "x.parquet")
    assert again.again and again.sidecar == first.sidecar


def test_other_questions_do_not_mix(asked: World, tmp_path: Path) -> None:
    question, load = predicting(asked)
    out = tmp_path / "x.parquet"
    with pytest.raises(KeyboardInterrupt), CPU.engaged():
        Asking(question, out, asked.workspace).run(load, Counting(stop_after=30))
    write_fasta(asked.folder / "x.fa", [*TEXTS[:-1], b"ACGT"])
    changed, load = predicting(asked)
    with pytest.raises(ExistsError, match="another question"):
        run(asked, changed, load, out)
    (tmp_path / "mine.parquet").write_text("precious")
    with pytest.raises(ExistsError, match="already"):
        run(asked, changed, load, tmp_path / "mine.parquet")
    assert (tmp_path / "mine.parquet").read_text() == "precious"


def test_a_fault_late_in_the_file_is_told_before_the_model_is_loaded(
    asked: World, tmp_path: Path
) -> None:
    with (asked.folder / "x.fa").open("a") as file:
        file.write(">late\nAC*\n")
    question, _ = predicting(asked)

    def never() -> Answers:
        raise AssertionError("the file is read first")

    with pytest.raises(DataError, match=r"x\.fa:\d+:3"):
        run(asked, question, never, tmp_path / "x.parquet")


def test_predictions_in_files_are_those_of_python(asked: World, tmp_path: Path) -> None:
    question, load = predicting(asked)
    table = pq.read_table(run(asked, question, load, tmp_path / "x.parquet").path)
    said = gfmp.load("calls", workspace=asked.workspace.root).predict(TEXTS)
    for place, name in enumerate(said.names):
        np.testing.assert_allclose(table[f"p_{name}"], said.values[:, place], atol=1e-6)
    np.testing.assert_allclose(table["confidence"], said.confidence, atol=1e-6)
    assert table["predicted"].to_pylist() == list(said.predicted)
    run(asked, question, load, tmp_path / "x.tsv")
    header, *lines = (tmp_path / "x.tsv").read_text().splitlines()
    assert header.split("\t") == table.column_names and len(lines) == 40
    cells = lines[3].split("\t")
    assert cells[0] == "r3" and abs(float(cells[-1]) - said.confidence[3]) < 1e-5


def test_embeddings_in_files_are_those_of_python(asked: World, tmp_path: Path) -> None:
    tiny = gfmp.load("tiny", workspace=asked.workspace.root)
    question, load = embedding(asked, layers=(0, -1))
    table = pq.read_table(run(asked, question, load, tmp_path / "x.parquet").path)
    run(asked, question, load, tmp_path / "x.npy")
    array = np.load(tmp_path / "x.npy")
    assert array.shape == (40, 2, 16)
    for place, layer in enumerate((0, 2)):
        wanted = tiny.embed(TEXTS, layer=layer, vocabulary="kmer3")
        np.testing.assert_allclose(np.array(table[f"layer_{layer}"].to_pylist()), wanted, atol=1e-5)
        np.testing.assert_allclose(array[:, place], wanted, atol=1e-5)
    rows = (tmp_path / "x.npy.rows.tsv").read_text().splitlines()
    assert len(rows) == 41 and rows[0] == "name\tstart\tend\tstrand"


def test_bases_and_tokens_in_files_are_those_of_python(asked: World, tmp_path: Path) -> None:
    tiny = gfmp.load("tiny", workspace=asked.workspace.root)
    for per in ("base", "token"):
        question, load = embedding(asked, per)
        table = pq.read_table(run(asked, question, load, tmp_path / f"{per}.parquet").path)
        wanted = tiny.embed_along(TEXTS, per=per, vocabulary="kmer3")
        for place in (0, 17, 39):
            found = np.array(table["layer_2"][place].as_py())
            np.testing.assert_allclose(found, wanted[place], atol=1e-5)
    starts, ends = (table[name][5].as_py() for name in ("token_starts", "token_ends"))
    assert starts == list(range(len(TEXTS[5]) - 2)) and ends[0] == 3
    for suffix in ("npy", "tsv", "csv"):
        with pytest.raises(UsageError, match="cannot take"):
            Asking(question, tmp_path / f"x.{suffix}", asked.workspace)


def test_how_rows_are_cut_is_part_of_the_question(asked: World) -> None:
    whole = predict_question(asked_of(asked, "calls"), calibrated=True)
    cut = predict_question(asked_of(asked, "calls", window_bp=20), calibrated=True)
    bare = predict_question(asked_of(asked, "calls"), calibrated=False)
    assert len({one.fingerprint for one in (whole, cut, bare)}) == 3
    moved = asked.folder / "y.fa"
    moved.write_bytes((asked.folder / "x.fa").read_bytes())
    other = predict_question(asked_of(asked, "calls", "y.fa"), calibrated=True)
    assert other.fingerprint == whole.fingerprint


@pytest.mark.parametrize("cut", [{"window_bp": 2}, {"window_bp": 10**6}, {"step_bp": 5}])
def test_windows_that_cannot_be_meant_are_refused(asked: World, cut: dict[str, int]) -> None:
    with pytest.raises(UsageError) as caught:
        asked_of(asked, "calls", **cut)
    assert caught.value.problems[0].why and caught.value.problems[0].fix


def test_a_damaged_manifest_is_told(asked: World, tmp_path: Path) -> None:
    question, load = predicting(asked)
    out = tmp_path / "x.parquet"
    with pytest.raises(KeyboardInterrupt), CPU.engaged():
        Asking(question, out, asked.workspace).run(load, Counting(stop_after=30))
    path = tmp_path / "x.parquet.parts" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "survey": {"rows": "many"}}))
    with pytest.raises(CorruptArtefactError, match="manifest"):
        run(asked, question, load, out)


def invoked(world: World, *words: str) -> str:
    shared = ["--workspace", str(world.workspace.root), "--threads", "1", "--device", "cpu"]
    done = CliRunner().invoke(command, [*words, *shared])
    if done.exception is not None:
        raise done.exception
    return done.output


def test_the_commands_answer_files(asked: World, tmp_path: Path) -> None:
    file = str(asked.folder / "x.fa")
    said = invoked(asked, "predict", "calls", file, "-o", str(tmp_path / "p.tsv"))
    assert "written: " in said and "temperature" in said and "40 rows" in said
    again = invoked(asked, "predict", "calls", file, "-o", str(tmp_path / "p.tsv"))
    assert "complete already" in again
    out = str(tmp_path / "e.npy")
    words = ("embed", "tiny", file, "-o", out, "--vocabulary", "pairs", "--layer", "0", "--json")
    body = json.loads("{" + invoked(asked, *words).partition("\n{")[2])
    assert body["question"]["wanted"]["layers"] == [0] and body["survey"]["rows"] == 40
    assert np.load(out).shape == (40, 16)
    (asked.folder / "x.bed").write_text("chr1\t0\t300\tone\nchr2\t10\t200\n")
    words = ("predict", "calls", str(asked.folder / "x.bed"), "-o", str(tmp_path / "b.parquet"))
    cut = ("--reference", str(asked.folder / "ref.fa"), "--window-bp", "100", "--no-calibration")
    assert "temperature" not in invoked(asked, *words, *cut)
    table = pq.read_table(tmp_path / "b.parquet")
    assert table["start"].to_pylist() == [0, 100, 200, 10, 100]
    assert "confidence" not in table.column_names
    with pytest.raises(GfmpError, match="predicts nothing"):
        invoked(asked, "predict", "tiny", file)


def test_a_long_record_is_refused_with_the_remedy(asked: World, tmp_path: Path) -> None:
    write_fasta(asked.folder / "long.fa", [random_dna(30_000, 1).encode()])
    out = str(tmp_path / "x.parquet")
    with pytest.raises(DataError) as caught:
        invoked(asked, "predict", "calls", str(asked.folder / "long.fa"), "-o", out)
    assert "--window-bp" in caught.value.problems[0].fix
