"""Answers of a model as columns of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gfmp.inference.calibration import Calibration
from gfmp.inference.loaded import Loaded
from gfmp.inference.predicting import columns, predictions
from gfmp.inference.states import Tick, Wanted, states

Column = tuple[str, pa.Array]


class Answers(Protocol):
    """Answers about sequences; what it says of one does not depend on earlier calls."""

    @property
    def facts(self) -> dict[str, object]:
        """What stands beside all answers, as JSON values."""
        ...

    def columns(self, sequences: Sequence[bytes], tick: Tick) -> Iterator[Column]:
        """Yield the columns of N answers."""
        ...


@dataclass(frozen=True)
class PredictAnswers:
    """Predictions, by `predicting.columns`.

    Attributes:
        loaded: The model.
        calibration: How sure to be; None leaves that out.
    """

    loaded: Loaded
    calibration: Calibration | None

    @property
    def facts(self) -> dict[str, object]:
        """The calibration."""
        found = self.calibration
        return {"calibration": found.to_json() if found else None}

    def columns(self, sequences: Sequence[bytes], tick: Tick) -> Iterator[Column]:
        """Yield the columns of N predictions."""
        outputs = self.loaded.outputs(sequences, tick)
        yield from columns(predictions(self.loaded.head(), outputs, self.calibration))


@dataclass(frozen=True)
class EmbedAnswers:
    """Hidden states, one column `layer_<depth>` for each layer.

    A cell is a vector; for tokens and bases a list of vectors, and for tokens `token_starts` and
    `token_ends` say where each stands in the row as it was read, 0-based and half-open.

    Attributes:
        loaded: The model.
        vocabulary: Which of its vocabularies.
        wanted: Which states.
    """

    loaded: Loaded
    vocabulary: str
    wanted: Wanted

    @property
    def facts(self) -> dict[str, object]:
        """Nothing."""
        return {}

    def columns(self, sequences: Sequence[bytes], tick: Tick) -> Iterator[Column]:
        """Yield the columns of the states of N sequences."""
        rows = self.loaded.reader(self.vocabulary).read(sequences)
        found = states(self.loaded.encoder, rows, self.wanted, self.loaded.compute, tick)
        if self.wanted.per == "sequence":
            stacked = np.stack(found)
            for place, depth in enumerate(self.wanted.layers):
                yield f"layer_{depth}", _vectors(stacked[:, place])
            return
        if self.wanted.per == "token":
            own = rows.encoded[0]
            offsets = pa.array(own.cu_tokens.astype(np.int32))
            yield "token_starts", pa.ListArray.from_arrays(offsets, pa.array(own.starts))
            yield "token_ends", pa.ListArray.from_arrays(offsets, pa.array(own.ends))
        ends = np.cumsum([0, *map(len, found)]).astype(np.int32)
        flat = np.concatenate(found)
        for place, depth in enumerate(self.wanted.layers):
            vectors = _vectors(flat[:, place])
            yield f"layer_{depth}", pa.ListArray.from_arrays(pa.array(ends), vectors)


def _vectors(values: NDArray[np.float32]) -> pa.FixedSizeListArray:
    """Return (N, W) numbers as N cells."""
    flat = pa.array(np.ascontiguousarray(values).ravel(), pa.float32())
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
