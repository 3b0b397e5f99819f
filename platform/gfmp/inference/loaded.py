"""A trained model with its weights on a device, however it was trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils import parametrize

from gfmp.errors import UsageError
from gfmp.inference.attribution_rows import RowReader
from gfmp.inference.found import Found
from gfmp.inference.masked import Masked
from gfmp.inference.states import Tick, no_tick
from gfmp.learners.compute import Compute
from gfmp.learners.finetuned import Finetuned, load
from gfmp.learners.head import HeadShape, TaskModel
from gfmp.learners.initial import Initial
from gfmp.model.encoder import Encoder
from gfmp.spec.vocabularies import parts
from gfmp.storage.documents import did_you_mean


@dataclass(frozen=True)
class Loaded:
    """The weights of a found model.

    Attributes:
        found: What it is.
        model: Encoder and head; the head of a pretrained model is never asked.
        initial: Its vocabularies and how rows are laid out.
        compute: Device and size of a chunk.
        made: The fine-tuned model; None for a pretrained one.
        masked: The pretrained model with its masked-token head; None for a fine-tuned one.
    """

    found: Found
    model: TaskModel
    initial: Initial
    compute: Compute
    made: Finetuned | None
    masked: Masked | None
    _readers: dict[tuple[str, ...], RowReader] = field(
        default_factory=dict, repr=False, compare=False
    )

    @classmethod
    def of(cls, found: Found, compute: Compute) -> Loaded:
        """Read the weights.

        Raises:
            CorruptArtefactError: they are not what they were when they were written.
        """
        if found.kind == "finetuned":
            made = load(found.folder, compute)
            return cls(found, made.model.eval(), made.initial, compute, made, None)
        masked = Masked.load(found.pretrained, compute)
        headless = TaskModel(masked.model.encoder, HeadShape(num_outputs=1), compute)
        model = headless.to(compute.device).eval()
        return cls(found, model, masked.initial, compute, None, masked)

    @property
    def encoder(self) -> Encoder:
        """The encoder."""
        return self.model.encoder

    def head(self) -> Finetuned:
        """Return the fine-tuned model.

        Raises:
            UsageError: this one was only pretrained.
            RefusedError: it reads features beside the sequence.
        """
        self.found.predicts()
        assert self.made is not None, "what predicts was fine-tuned"
        return self.made

    def reader(self, *names: str) -> RowReader:
        """Return who reads sequences in some vocabularies of the model.

        Raises:
            MissingInputError: no installed package brings the family of one.
        """
        if names not in self._readers:
            self._readers[names] = RowReader(self.initial, names)
        return self._readers[names]

    def outputs(self, sequences: Sequence[bytes], tick: Tick = no_tick) -> NDArray[np.float32]:
        """Return what the head says of N sequences, shape (N, O): logits or standardised values.

        Raises:
            UsageError: the model was only pretrained.
            RefusedError: it reads features beside the sequence.
            DataError: a sequence is shorter than a vocabulary of the model can encode.
        """
        made = self.head()
        rows = self.reader(*parts(made.vocabulary)).read(sequences)
        found = np.zeros((len(rows), made.target.num_outputs), dtype=np.float32)
        with torch.inference_mode(), parametrize.cached():
            for chunk in rows.views.chunks(np.arange(len(rows)), self.compute.micro_tokens):
                outputs = made.model(rows.views.pack(chunk, self.compute.device))
                found[chunk] = outputs.float().cpu().numpy()
                tick(len(chunk))
        return found


def chosen(found: Found, vocabulary: str) -> str:
    """Return the vocabulary in which a model is asked: the named one, or its only one.

    Raises:
        UsageError: the model does not read it, or reads several and none is named.
    """
    names = [one.name for one in found.vocabularies]
    if vocabulary in names or (not vocabulary and len(names) == 1):
        return vocabulary or names[0]
    told = f"there is no vocabulary {vocabulary!r}" if vocabulary else "it reads several"
    raise UsageError(
        f"{found.model.name}: {told}",
        where=str(found.folder),
        why=f"it reads {', '.join(names)}",
        fix=did_you_mean(vocabulary, names) or f"choose one: --vocabulary {names[0]}",
    )


def depths_of(found: Found, layers: Sequence[int]) -> tuple[int, ...]:
    """Return depths, ascending: 0 is the embedding, -1 the last block.

    Raises:
        UsageError: the model has no such layer.
    """
    count = found.architecture.layers
    for layer in layers:
        if not -count - 1 <= layer <= count:
            raise UsageError(
                f"{found.model.name} has no layer {layer}",
                where=str(found.folder),
                why=f"its layers are 0, the embedding, to {count}; -1 is the last",
                fix=f"choose one from 0 to {count}",
            )
    return tuple(sorted({layer % (count + 1) for layer in layers}))
