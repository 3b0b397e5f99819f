"""Features beside the sequence: joined by key, whatever their order; every fault at its place."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from task_samples import sequences, write_task

from gfmp.errors import DataError, MissingInputError
from gfmp.storage.workspace import Workspace
from gfmp.tasks.catalogue import TaskTarget
from gfmp.tasks.contexts import Contexts, stacked_contexts
from gfmp.tasks.pools import pooled
from gfmp.tasks.prepare import build
from gfmp.tasks.store import TaskStore
from gfmp.tasks.subsets import choose, order
from gfmp.tasks.task import SPLITS, Task

TISSUES = ("liver", "lung", "skin")
FACTORS = ("FOS", "GATA1", "TP53")
SOURCE = "{format: csv, files: {all: {path: rows.csv}}, context_column: tissue}"
TARGET = "{kind: regression, columns: [value]}"
METRIC = "metric: pearson_r\nsplit: {by: random}\n"
CONTEXT = "context: {table: {path: tf.csv}, key_column: tissue}\n"
TABLE = "tissue,FOS,GATA1,TP53\nliver,1,0.5,-2\nlung,2,1e3,0\nskin,3,0,7\n"


def _write_rows(folder: Path, num_rows: int = 60) -> None:
    lines = [
        f"{sequence.decode()},{i % 7},{TISSUES[i % 3]}"
        for i, sequence in enumerate(sequences(num_rows))
    ]
    (folder / "rows.csv").write_text("\n".join(["sequence,value,tissue", *lines]) + "\n")


def _task(folder: Path, table: str = TABLE, more: str = CONTEXT) -> TaskTarget:
    _write_rows(folder)
    (folder / "tf.csv").write_text(table)
    return write_task(folder, SOURCE, TARGET, METRIC + more)


def _built(folder: Path, table: str = TABLE, more: str = CONTEXT) -> Task:
    target = _task(folder, table, more)
    return build(target.name, target.spec, target.base)


def _features(task: Task) -> dict[bytes, tuple[float, ...]]:
    """Return the features of every row by its sequence."""
    found: dict[bytes, tuple[float, ...]] = {}
    for split in SPLITS:
        rows = task.rows(split)
        values = rows.features(np.arange(len(rows)))
        found |= dict(zip(rows.sequences, map(tuple, values.tolist()), strict=True))
    return found


def test_every_row_has_the_features_of_its_context(tmp_path: Path) -> None:
    task = _built(tmp_path)
    expected = {"liver": (1.0, 0.5, -2.0), "lung": (2.0, 1e3, 0.0), "skin": (3.0, 0.0, 7.0)}
    assert task.train.feature_names == FACTORS
    found = _features(task)
    assert found == {s: expected[TISSUES[i % 3]] for i, s in enumerate(sequences(60))}
    assert task.facts["notes"] == "3 features of 3 contexts beside the sequence"


def test_a_task_without_features_is_what_it_was_before_there_were_any(tmp_path: Path) -> None:
    _write_rows(tmp_path)
    source = "{format: csv, files: {all: {path: rows.csv}}}"
    # The column of tissues is not read, and not a part of the content these names are of.
    text = (tmp_path / "rows.csv").read_text().splitlines()
    (tmp_path / "rows.csv").write_text("\n".join(t.rsplit(",", 1)[0] for t in text) + "\n")
    target = write_task(tmp_path, source, TARGET, METRIC)
    task = TaskStore(Workspace(tmp_path / "w")).prepare(target)
    assert task.fingerprint.startswith("1f03e304fc3cc97e773b75dc3e853c31")
    key = "cf9f610e30f9b672a6e81cbd01b2b447d925b6d24229746dbbc5fa2a66420fa0"
    assert (tmp_path / "w" / "tasks" / "sample" / key).is_dir()
    assert choose(task, 50, 3).fingerprint.startswith("6085684a41719266eec328b5307c2650")
    assert task.train.contexts is None and task.train.features(np.arange(4)).shape == (4, 0)


@settings(deadline=None, max_examples=6)
@given(rows=st.permutations(range(4)), columns=st.permutations(range(4)), padded=st.booleans())
def test_the_order_of_the_table_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, rows: list[int], columns: list[int], padded: bool
) -> None:
    # A tissue that no row is in changes nothing either.
    header, *body = [line.split(",") for line in [*TABLE.split(), "unused,9,9,9"]]
    lines = [[line[c] for c in columns] for line in (header, *(body[r] for r in rows))]
    text = "\n".join((" , " if padded and i else ",").join(line) for i, line in enumerate(lines))
    first = _built(tmp_path_factory.mktemp("a"))
    other = _built(tmp_path_factory.mktemp("b"), text + "\n")
    assert other.fingerprint == first.fingerprint
    assert _features(other) == _features(first)


@settings(deadline=None, max_examples=5)
@given(place=st.integers(0, 2), column=st.integers(1, 3))
def test_every_number_is_a_part_of_what_a_task_is(
    tmp_path_factory: pytest.TempPathFactory, place: int, column: int
) -> None:
    lines = [line.split(",") for line in TABLE.split()]
    lines[place + 1][column] = "4.25"
    changed = "\n".join(",".join(line) for line in lines) + "\n"
    first, other = (_built(tmp_path_factory.mktemp("a"), t) for t in (TABLE, changed))
    assert first.fingerprint != other.fingerprint
    assert choose(first, 100, 0).fingerprint != choose(other, 100, 0).fingerprint
    # Which rows are labelled does not depend on what else is known of them.
    bare = replace(other, train=replace(other.train, contexts=None))
    for task in (other, bare):
        assert choose(task, 30, 5).rows.tolist() == choose(first, 30, 5).rows.tolist()


def test_rows_that_differ_in_their_context_alone_have_one_order(tmp_path: Path) -> None:
    task = _built(tmp_path)
    rows = replace(
        task.train,
        sequences=(task.train.sequences[0],) * len(task.train),
        targets=np.ones_like(task.train.matrix),
    )
    mixed = rows.take(np.random.default_rng(0).permutation(len(rows)))
    one, other = (r.take(order(r, task.target, 4)) for r in (rows, mixed))
    every = np.arange(len(rows))
    assert np.array_equal(one.features(every), other.features(every))


def test_what_is_loaded_is_what_was_built(tmp_path: Path) -> None:
    target, store = _task(tmp_path), TaskStore(Workspace(tmp_path / "w"))
    first = store.prepare(target)
    second = store.prepare(target)
    assert second.fingerprint == first.fingerprint
    assert _features(second) == _features(first) and second.train.contexts is not None
    assert second.train.contexts.keys == TISSUES
    # Another table is another task, and so are other columns of it.
    (tmp_path / "tf.csv").write_text(TABLE.replace("1e3", "5"))
    assert not store.prepared(target)
    fewer = _task(tmp_path, more=CONTEXT.replace("tissue}", "tissue, columns: [TP53]}"))
    assert store.prepare(fewer).train.feature_names == ("TP53",)


def test_tables_are_read_plain_packed_and_as_parquet(tmp_path: Path) -> None:
    first = _built(tmp_path)
    (tmp_path / "tf.tsv.gz").write_bytes(gzip.compress(TABLE.replace(",", "\t").encode()))
    lines = [line.split(",") for line in TABLE.split()]
    columns = {name: [line[i] for line in lines[1:]] for i, name in enumerate(lines[0])}
    numbers = {n: list(map(float, cells)) for n, cells in columns.items() if n != "tissue"}
    pq.write_table(pa.table({"tissue": columns["tissue"], **numbers}), tmp_path / "tf.parquet")
    for name in ("tf.tsv.gz", "tf.parquet"):
        found = _built(tmp_path, more=CONTEXT.replace("tf.csv", name))
        assert found.fingerprint == first.fingerprint


def test_one_context_for_all_rows_is_a_key(tmp_path: Path) -> None:
    _write_rows(tmp_path)
    (tmp_path / "tf.csv").write_text(TABLE)
    source = "{format: csv, files: {all: {path: rows.csv}}}"
    more = METRIC + CONTEXT.replace("tissue}", "tissue, key: lung}")
    target = write_task(tmp_path, source, TARGET, more)
    task = build(target.name, target.spec, target.base)
    assert set(_features(task).values()) == {(2.0, 1e3, 0.0)}


def test_columns_that_are_contexts_become_rows(tmp_path: Path) -> None:
    lines = [f"{s.decode()},{i},{i + 100}" for i, s in enumerate(sequences(40))]
    (tmp_path / "rows.csv").write_text("\n".join(["sequence,lung,skin", *lines]) + "\n")
    (tmp_path / "tf.csv").write_text(TABLE)
    source = "{format: csv, files: {all: {path: rows.csv}}}"
    target = "{kind: regression, columns: [skin, lung], by_context: expression}"
    wanted = write_task(tmp_path, source, target, METRIC + CONTEXT)
    task = build(wanted.name, wanted.spec, wanted.base)
    assert task.target.names == ("expression",)
    assert sum(len(task.rows(split)) for split in SPLITS) == 80
    known = {s: i for i, s in enumerate(sequences(40))}
    for split in SPLITS:
        rows = task.rows(split)
        assert len(set(rows.sequences)) * 2 == len(rows)  # both rows of a sequence stay together
        factor = rows.features(np.arange(len(rows)))[:, 0]
        pairs = zip(rows.sequences, factor, strict=True)
        values = [known[s] + (100 if f == 3 else 0) for s, f in pairs]
        assert rows.matrix[:, 0].tolist() == values
    # Without features the rows are the same.
    alone = write_task(tmp_path, source, target, METRIC)
    bare = build(alone.name, alone.spec, alone.base)
    assert bare.train.sequences == task.train.sequences and bare.train.contexts is None


def test_a_pool_keeps_the_features_of_each_row(tmp_path: Path) -> None:
    task = _built(tmp_path)
    assert task.train.contexts is not None
    lung = np.flatnonzero(task.train.contexts.of_row == 1)
    other = replace(task, name="other", train=task.train.take(lung))
    found = pooled("both", [other, task]).train
    assert np.array_equal(found.features(np.arange(len(lung))), other.train.features(lung * 0))
    assert len(found) == len(lung) + len(task.train)
    bare = replace(task, train=replace(task.train, contexts=None))
    with pytest.raises(AssertionError, match="one question of the same inputs"):
        pooled("both", [bare, task])


@settings(deadline=None, max_examples=30)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 6)), min_size=1, max_size=4),
    seed=st.integers(0, 99),
)
def test_stacked_contexts_are_their_parts(sizes: list[tuple[int, int]], seed: int) -> None:
    generator = np.random.default_rng(seed)
    parts = [
        Contexts(
            ("a", "b"),
            tuple(map(str, range(num_keys))),
            generator.random((num_keys, 2), dtype=np.float32),
            generator.integers(0, num_keys, num_rows).astype(np.int32),
        )
        for num_keys, num_rows in sizes
    ]
    whole = stacked_contexts(parts)
    assert whole is not None
    expected = np.concatenate([part.of(np.arange(len(part))) for part in parts])
    assert np.array_equal(whole.of(np.arange(len(whole))), expected)
    digests = np.concatenate([part.row_digests() for part in parts])
    assert np.array_equal(whole.row_digests(), digests)


@pytest.mark.parametrize(
    ("table", "where", "words", "fix"),
    [
        (TABLE.replace("skin", "skim"), "tf.csv", r"20 rows are in the context 'skin'", "skim"),
        (TABLE.replace("1e3", "high"), "tf.csv:3", "column 'GATA1' holds 'high'", "correct"),
        (TABLE.replace("1e3", ""), "tf.csv:3", "column 'GATA1' holds ''", "correct"),
        (TABLE.replace("1e3", "inf"), "tf.csv:3", "column 'GATA1' holds 'inf'", "correct"),
        (TABLE + "lung,1,1,1\n", "tf.csv:5", "column 'tissue' holds 'lung' again", "own name"),
        (TABLE + ",1,1,1\n", "tf.csv:5", "column 'tissue' holds ''", "own name"),
        (TABLE.replace("tissue", "tisue"), "tf.csv:1", "no column 'tissue'", "tisue"),
        (TABLE.replace("GATA1", "FOS"), "tf.csv:1", "column 'FOS' stands 2 times", "rename"),
        ("tissue\nliver\nlung\nskin\n", "tf.csv:1", "no features", "key_column"),
        (TABLE.replace("0,7", "0"), "tf.csv:4", "this row has 3 cells", "correct the row"),
    ],
)
def test_a_fault_of_the_table_is_told_at_its_place(
    tmp_path: Path, table: str, where: str, words: str, fix: str
) -> None:
    with pytest.raises(DataError, match=words) as caught:
        _built(tmp_path, table)
    (problem,) = caught.value.problems
    assert str(problem.where).endswith(where) and fix in problem.fix


def test_a_table_that_is_not_there_is_told_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"there is no file .*no\.csv") as caught:
        _task(tmp_path, more=CONTEXT.replace("tf.csv", "no.csv"))
    assert ":7:" in str(caught.value.problems[0].where)


def test_a_pinned_table_that_changed_is_told(tmp_path: Path) -> None:
    pinned = CONTEXT.replace("path: tf.csv", f"path: tf.csv, sha256: {'f' * 64}")
    target = _task(tmp_path, more=pinned)
    with pytest.raises(DataError, match="the file changed"):
        TaskStore(Workspace(tmp_path / "w")).prepare(target)
