"""Masked-token log-likelihood ratio: how much less likely the alternate's tokens are.

Both alleles are tokenised anew, because a changed base moves the boundaries of byte pairs. Their
common beginning and end drop out; what is left is masked whole, each allele in its own text, and
its true tokens are read. Where the boundaries stay, both texts are the same but for the answer,
and this is the masked-marginal ratio of protein models (Meier et al. 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from gfmp.inference.masked import Masked, Reader, moved, row_starts
from gfmp.inference.scorer import Scores
from gfmp.inference.texts import Batch, changed
from gfmp.learners.packed import chunks
from gfmp.learners.tokens import SplitTokens
from gfmp.vocabulary.tokenizer import is_word
from gfmp.vocabulary.vocabulary import MASK

Ids = NDArray[np.int32]


@dataclass
class _Questions:
    """Distinct masked rows, and what is asked about them.

    Attributes:
        rows: Place of a masked row by its tokens.
        places: Which tokens of each row are masked words.
        asked: Row of each question.
        truths: Its true words: ensemble rows, in the order of the masked tokens.
    """

    rows: dict[bytes, int] = field(default_factory=dict)
    masked: list[Ids] = field(default_factory=list)
    places: list[NDArray[np.int64]] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    truths: list[Ids] = field(default_factory=list)

    def ask(self, ids: Ids, part: slice) -> None:
        """Mask the words of a part of a row and ask which they were; [UNK] stays as it is."""
        places = np.arange(len(ids))[part]
        places = places[is_word(ids[part])]
        masked = ids.copy()
        masked[places] = MASK
        key = masked.tobytes()
        if key not in self.rows:
            self.rows[key] = len(self.masked)
            self.masked.append(masked)
            self.places.append(places)
        self.asked.append(self.rows[key])
        self.truths.append(ids[places])

    def tokens(self) -> SplitTokens:
        """Return the distinct masked rows."""
        lengths = [0, *map(len, self.masked)]
        return SplitTokens(np.concatenate(self.masked), np.cumsum(lengths, dtype=np.int64))


class Likelihood:
    """Scores alleles with one vocabulary of a pretrained model.

    Args:
        model: The model.
        vocabulary: Name of the vocabulary.
    """

    def __init__(self, model: Masked, vocabulary: str) -> None:
        self._model = model
        self._reader: Reader = model.reader(vocabulary)
        local = model.initial.ensemble.rows(self._reader.index)
        # Local id -> place among the words that compete.
        self._place = model.softmax.places[self._reader.index][local]
        self._words = moved(model.softmax.rows[self._reader.index].copy(), model.compute)

    def score(self, batch: Batch) -> Scores:
        """Return the ratio of each allele, in nats, averaged over strands, shape (N, 1)."""
        encoded = batch.encoded(self._reader.tokenizer)
        cu, questions = encoded.cu_tokens, _Questions()
        for reference, alternate in batch.pairs():
            one = encoded.ids[cu[reference] : cu[reference + 1]]
            other = encoded.ids[cu[alternate] : cu[alternate + 1]]
            parts = changed(one, other)
            questions.ask(one, parts[0])
            questions.ask(other, parts[1])
        found = self._answers(questions).reshape(len(batch), -1, 2)
        ratios = (found[:, :, 1] - found[:, :, 0]).mean(axis=1)
        counted = self._reader.tokenizer.vocabulary.words_per_base
        return Scores.without_features(ratios[:, None] / counted)

    def _answers(self, questions: _Questions) -> NDArray[np.float64]:
        """Return the summed log-probability of each question's words; NaN where none is asked."""
        found = np.full(len(questions.asked), np.nan)
        tokens, packer = questions.tokens(), self._reader.packer
        by_row: list[list[int]] = [[] for _ in questions.masked]
        for number, row in enumerate(questions.asked):
            by_row[row].append(number)
        most = self._model.compute.micro_tokens
        with torch.inference_mode():
            for chunk in chunks(tokens.lengths, packer.num_specials, most):
                places = [questions.places[row] for row in chunk]
                parts = torch.split(self._logs(tokens, chunk, places), [len(p) for p in places])
                answered = [
                    (n, logs) for r, logs in zip(chunk, parts, strict=True) for n in by_row[r]
                ]
                for number, logs in answered:
                    found[number] = self._sum(logs, questions.truths[number])
        return found

    def _sum(self, logs_MW: torch.Tensor, truth: Ids) -> float:
        if not len(truth):
            return float("nan")
        places = moved(self._place[truth], self._model.compute)
        return float(logs_MW.gather(1, places[:, None]).double().sum())

    def _logs(
        self, tokens: SplitTokens, chunk: NDArray[np.int64], places: Sequence[NDArray[np.int64]]
    ) -> torch.Tensor:
        """Return log-probabilities of all words at the masked tokens of some rows, shape (M, W)."""
        model, packer = self._model.model, self._reader.packer
        packed = packer.pack(tokens, chunk, self._model.compute.device)
        starts = row_starts(tokens.lengths[chunk], packer.num_specials)
        targets = np.concatenate([s + p for s, p in zip(starts, places, strict=True)])
        hidden_TD = model.encoder(packed.ids_T, packed.packing)
        (logits_MW,) = model.head(
            hidden_TD.index_select(0, moved(targets.astype(np.int64), self._model.compute)),
            model.encoder.embedding.weight,
            [self._words],
            [len(targets)],
        )
        logs_MW: torch.Tensor = logits_MW.log_softmax(dim=1)
        return logs_MW
