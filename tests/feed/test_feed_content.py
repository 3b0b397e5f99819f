from __future__ import annotations

import numpy as np
import pytest
from feed_world import BPE, KMER, World, random_dna

from gfmp.feed.content import Content, RowEncoder, packed_positions, ranges
from gfmp.vocabulary.ensemble import Ensemble
from gfmp.vocabulary.family import Recipe
from gfmp.vocabulary.registry import FamilyRegistry
from gfmp.vocabulary.vocabulary import CLS, SEP

SEQUENCES = [random_dna(n, n) for n in (40, 6, 300, 75, 1)]
VOCABULARY = np.array([KMER, BPE, BPE, KMER, KMER], dtype=np.int16)


def encode(world: World, max_tokens: int = 512) -> tuple[RowEncoder, Content]:
    encoder = RowEncoder(world.ensemble, world.tokenizers, max_tokens)
    return encoder, encoder.encode(SEQUENCES, VOCABULARY, np.arange(5))


def local_ids(world: World, content: Content, row: int) -> np.ndarray:
    """Map the ensemble ids of one row back to local ids."""
    table = {int(r): i for i, r in enumerate(world.ensemble.rows(int(VOCABULARY[row])))}
    ids = content.ids[content.offsets[row] : content.offsets[row + 1]]
    return np.array([table[int(i)] for i in ids], dtype=np.int32)


def test_ranges_join_runs() -> None:
    assert ranges(np.array([5, 0, 9]), np.array([2, 0, 3])).tolist() == [5, 6, 9, 10, 11]
    assert ranges(np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []


def test_rows_decode_to_their_windows(world: World) -> None:
    _, content = encode(world)
    for row in range(4):
        tokenizer = world.tokenizers[VOCABULARY[row]]
        assert tokenizer.decode(local_ids(world, content, row)) == SEQUENCES[row]


def test_a_row_too_short_for_its_vocabulary_has_no_tokens(world: World) -> None:
    encoder, content = encode(world)
    assert content.lengths.tolist()[4] == 0
    packed = encoder.packed(content, content.ids)
    assert packed[-3:].tolist() == [CLS, world.ensemble.prompt(KMER), SEP]


def test_long_rows_keep_their_left_part_at_a_token_border(world: World) -> None:
    _, whole = encode(world)
    _, cut = encode(world, max_tokens=23)
    assert cut.lengths.tolist() == np.minimum(whole.lengths, 20).tolist()
    for row in range(5):
        kept, end = slice(cut.offsets[row], cut.offsets[row + 1]), int(cut.lengths[row])
        full = slice(whole.offsets[row], whole.offsets[row] + end)
        assert np.array_equal(cut.ids[kept], whole.ids[full])
        assert np.array_equal(cut.starts[kept], whole.starts[full])
        assert np.array_equal(cut.ends[kept], whole.ends[full])
    covered = SEQUENCES[2][: cut.ends[cut.offsets[3] - 1]]
    assert world.tokenizers[BPE].decode(local_ids(world, cut, 2)) == covered


def test_offsets_name_the_bases_of_each_token(world: World) -> None:
    _, content = encode(world)
    for token, row in enumerate(content.rows.tolist()):
        bases = SEQUENCES[row][content.starts[token] : content.ends[token]]
        assert world.ensemble.tokens[content.ids[token]] == bases.decode()


def test_packed_rows_are_cls_prompt_tokens_sep(world: World) -> None:
    encoder, content = encode(world)
    packed = encoder.packed(content, content.ids)
    begins = content.offsets + 3 * np.arange(6)
    assert len(packed) == begins[-1]
    for row in range(5):
        ids = packed[begins[row] : begins[row + 1]].tolist()
        tokens = content.ids[content.offsets[row] : content.offsets[row + 1]].tolist()
        assert ids == [CLS, world.ensemble.prompt(int(VOCABULARY[row])), *tokens, SEP]
    at = packed_positions(np.arange(len(content.ids)), content.rows)
    assert np.array_equal(packed[at], content.ids)


def test_ids_are_two_bytes_where_the_ensemble_fits(world: World) -> None:
    encoder, content = encode(world)
    assert encoder.dtype == content.ids.dtype == np.uint16


def test_ids_are_four_bytes_beyond_that() -> None:
    families = FamilyRegistry.from_packages(("tokenizer_registry",))
    vocabulary = families.get("kmer").build(Recipe("kmer8", "kmer", {"k": 8, "stride_bp": 1}), [])
    ensemble = Ensemble.of([vocabulary])
    assert ensemble.size > 2**16
    encoder = RowEncoder(ensemble, [families.tokenizer(vocabulary)], 64)
    content = encoder.encode([b"T" * 20], np.zeros(1, np.int16), np.zeros(1, np.int64))
    assert content.ids.dtype == np.int32
    assert ensemble.tokens[int(content.ids[0])] == "TTTTTTTT"


def test_tokenizers_must_match_the_ensemble(world: World) -> None:
    with pytest.raises(AssertionError, match="a tokenizer per vocabulary"):
        RowEncoder(world.ensemble, world.tokenizers[::-1], 64)
