"""A published corpus: whole, or an error that names the shard."""

from __future__ import annotations

import json
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gfmp.errors import CorruptArtefactError, MissingInputError
from gfmp.genome.corpus import Corpus
from gfmp.genome.manifest import Manifest
from gfmp.genome.splits import Split

Damage = Callable[[Path], object]


def first_shard(corpus: Corpus) -> Path:
    return corpus.path / corpus.manifest.shards[0].path


def read_all(corpus: Corpus) -> int:
    groups = (*corpus.row_groups("train"), *corpus.row_groups("valid"))
    return sum(piece.bases for group in groups for piece in corpus.read(group))


def test_row_groups_are_in_canonical_order_and_add_up(corpus: Corpus) -> None:
    splits: tuple[Split, ...] = ("train", "valid")
    for split in splits:
        groups = corpus.row_groups(split)
        assert [g.shard for g in groups] == sorted(g.shard for g in groups)
        assert sum(g.bases for g in groups) == corpus.manifest.bases(split)
        for group in groups:
            pieces = corpus.read(group)
            assert (len(pieces), sum(p.bases for p in pieces)) == (group.rows, group.bases)
            assert all(len(p.sequence) >= p.bases for p in pieces)


def test_a_corpus_travels_to_workers(corpus: Corpus) -> None:
    corpus.read(corpus.row_groups("train")[0])
    again = pickle.loads(pickle.dumps(corpus))
    assert again == corpus
    assert read_all(again) == 29_000


def test_manifest_is_plain_json_and_comes_back_equal(corpus: Corpus) -> None:
    value = json.loads((corpus.path / "manifest.json").read_text())
    assert value["format_version"] == 2
    assert value["content_hash"] == corpus.fingerprint
    assert Manifest.read(corpus.path) == corpus.manifest


def test_what_is_no_corpus_is_missing(tmp_path: Path, corpus: Corpus) -> None:
    with pytest.raises(MissingInputError, match="there is no corpus here"):
        Corpus.open(tmp_path / "nowhere")
    (corpus.path / "manifest.json").unlink()
    with pytest.raises(MissingInputError):
        Corpus.open(corpus.path)


@pytest.mark.parametrize(
    "change",
    [
        {"format_version": 3},
        {"format_version": True},
        {"contigs": []},
        {"name": 7},
        {"shards": "none"},
        {"shards": [{}]},
        {"surprise": 1},
        {"policy": []},
    ],
)
def test_a_changed_manifest_is_refused(corpus: Corpus, change: dict[str, object]) -> None:
    path = corpus.path / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CorruptArtefactError, match="not a corpus manifest"):
        Corpus.open(corpus.path)


def rewrite_as_text(shard: Path) -> None:
    shard.write_bytes(b"x" * shard.stat().st_size)


def break_footer_length(shard: Path) -> None:
    data = shard.read_bytes()
    shard.write_bytes(data[:-8] + b"\xff\xff\xff\x7f" + data[-4:])


def break_footer(shard: Path) -> None:
    data = bytearray(shard.read_bytes())
    data[-100] ^= 1
    shard.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (Path.unlink, "the shard is missing; expected"),
        (lambda p: p.write_bytes(b""), "the shard has 0 bytes; expected"),
        (lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]), "the shard has"),
        (rewrite_as_text, "does not end like Parquet"),
        (break_footer_length, "does not end like Parquet"),
        (break_footer, "footer differs"),
    ],
)
def test_a_broken_shard_is_named_when_the_corpus_is_opened(
    corpus: Corpus, damage: Damage, message: str
) -> None:
    shard = first_shard(corpus)
    damage(shard)
    with pytest.raises(CorruptArtefactError, match=message) as caught:
        Corpus.open(corpus.path)
    assert [p.where for p in caught.value.problems] == [str(shard)]
    assert f"{corpus.manifest.shards[0].rows:,} rows" in str(caught.value)


def test_strangers_are_all_listed_and_readmes_ignored(corpus: Corpus, tmp_path: Path) -> None:
    shards = corpus.path / "shards"
    (corpus.path / "README.md").write_text("mine")
    Corpus.open(corpus.path)
    (shards / ".tmp").write_text("left over")
    shutil.copy(first_shard(corpus), shards / "extra.parquet")
    (shards / "sibling.parquet").symlink_to(first_shard(corpus))
    (corpus.path / "hostname").symlink_to("/etc/hostname")
    with pytest.raises(CorruptArtefactError) as caught:
        Corpus.open(corpus.path)
    names = {Path(p.where).name for p in caught.value.problems}
    assert names == {".tmp", "extra.parquet", "sibling.parquet", "hostname"}


def test_a_shard_rewritten_by_another_tool_is_noticed(corpus: Corpus) -> None:
    shard = first_shard(corpus)
    table = pq.read_table(shard)
    pq.write_table(table, shard, compression="none")
    with pytest.raises(CorruptArtefactError, match="sha256 is"):
        corpus.verify()
    with pytest.raises(CorruptArtefactError):
        Corpus.open(corpus.path)


def test_every_flipped_bit_of_the_data_is_named_with_its_row_group(corpus: Corpus) -> None:
    shard = first_shard(corpus)
    good = shard.read_bytes()
    footer = int.from_bytes(good[-8:-4], "little") + 8
    rng = random.Random(11)
    for _ in range(40):
        data = bytearray(good)
        data[rng.randrange(4, len(good) - footer)] ^= 1 << rng.randrange(8)
        shard.write_bytes(bytes(data))
        with pytest.raises(CorruptArtefactError, match=r"row group \d+: ") as caught:
            read_all(Corpus.open(corpus.path))
        assert caught.value.problems[0].where == str(shard)
        with pytest.raises(CorruptArtefactError, match="sha256 is"):
            corpus.verify()
    shard.write_bytes(good)
    assert read_all(corpus) == 29_000


def test_a_shard_that_vanishes_after_opening_is_named(corpus: Corpus) -> None:
    shutil.rmtree(corpus.path / "shards")
    with pytest.raises(CorruptArtefactError, match="row group 0"):
        read_all(corpus)
