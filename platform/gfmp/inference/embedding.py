"""Distance between the hidden states of the two alleles, straight from a pretrained encoder."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from gfmp.inference.distances import distances
from gfmp.inference.masked import Masked, Reader, moved, row_starts
from gfmp.inference.scorer import Scores
from gfmp.inference.texts import Batch, split_tokens
from gfmp.learners.packed import chunks
from gfmp.spec.variant_effect import EmbeddingScorer
from gfmp.vocabulary.tokenizer import Encoded


class Embedding:
    """Scores alleles by the last hidden states, averaged over words.

    Args:
        model: The model.
        settings: Which words count and which distances are taken.
    """

    def __init__(self, model: Masked, settings: EmbeddingScorer) -> None:
        self._model, self._settings = model, settings
        self._reader: Reader = model.reader(settings.vocabulary)

    def score(self, batch: Batch) -> Scores:
        """Return distances averaged over strands, shape (N, distances), and the difference."""
        encoded = batch.encoded(self._reader.tokenizer)
        states = self._states(encoded, self._chosen(batch, encoded))
        one, other = states[batch.reference], states[batch.alternate]
        values = distances(self._settings.distances, one, other).mean(axis=1)
        return Scores(values, (other - one).mean(axis=1).astype(np.float32))

    def _chosen(self, batch: Batch, encoded: Encoded) -> NDArray[np.bool_]:
        """Return which tokens count, shape (T,).

        Tokens are neighbours of a change when they share a base with it or with the `near_bp`
        bases on either side; a deletion has its two neighbouring bases.
        """
        if self._settings.pool == "window":
            return np.ones(len(encoded.ids), dtype=np.bool_)
        near, rows = max(1, self._settings.near_bp), encoded.rows
        low = np.array([text.start - near for text in batch.texts])[rows]
        high = np.array([text.end + near for text in batch.texts])[rows]
        found: NDArray[np.bool_] = (encoded.starts < high) & (encoded.ends > low)
        return found

    def _states(self, encoded: Encoded, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the mean state of the chosen tokens of each text, shape (texts, D)."""
        model, packer = self._model, self._reader.packer
        tokens, width = split_tokens(encoded), model.initial.architecture.width
        found = np.zeros((len(tokens), width))
        with torch.inference_mode():
            for chunk in chunks(tokens.lengths, packer.num_specials, model.compute.micro_tokens):
                packed = packer.pack(tokens, chunk, model.compute.device)
                hidden_TD = model.model.encoder(packed.ids_T, packed.packing)
                starts = row_starts(tokens.lengths[chunk], packer.num_specials)
                places, counts = _places(tokens.offsets, chunk, starts, chosen)
                picked = hidden_TD.index_select(0, moved(places, model.compute)).float()
                found[chunk] = _means(picked.cpu().numpy(), counts)
        return found


def _places(
    offsets: NDArray[np.int64],
    chunk: NDArray[np.int64],
    starts: NDArray[np.int64],
    chosen: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the packed positions of the chosen tokens of some rows, and how many each has."""
    found = [
        start + np.flatnonzero(chosen[offsets[row] : offsets[row + 1]])
        for row, start in zip(chunk.tolist(), starts.tolist(), strict=True)
    ]
    counts = np.array([len(places) for places in found], dtype=np.int64)
    return np.concatenate(found).astype(np.int64), counts


def _means(states: NDArray[np.float32], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    assert counts.all(), "a change and its neighbours are covered by tokens"
    firsts = np.concatenate(([0], np.cumsum(counts)))[:-1]
    sums = np.add.reduceat(states.astype(np.float64), firsts, axis=0)
    means: NDArray[np.float64] = sums / counts[:, None]
    return means
