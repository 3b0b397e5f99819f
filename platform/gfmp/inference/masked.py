"""A pretrained run with its masked-token head, ready to be asked; no Ray."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from gfmp.errors import CorruptArtefactError
from gfmp.learners.compute import Compute
from gfmp.learners.initial import Initial
from gfmp.learners.packed import RowPacker
from gfmp.learners.tokens import SplitTokens, TaskTokens
from gfmp.model.masked import MaskedLanguageModel
from gfmp.spec.pretrain import Masking
from gfmp.training.batches import SoftmaxRows
from gfmp.training.manifest import verify
from gfmp.training.pretrained import Pretrained
from gfmp.training.restore import load_weights
from gfmp.vocabulary.registry import FamilyRegistry
from gfmp.vocabulary.tokenizer import Tokenizer
from gfmp.vocabulary.vocabulary import Vocabulary


@dataclass(frozen=True)
class Masked:
    """A pretrained model on its device.

    Attributes:
        model: Encoder and head, fp32.
        initial: Its vocabularies and how rows are laid out; carries no weights.
        softmax: What predictions are normalised over, as in its training.
        compute: Device and size of a chunk.
    """

    model: MaskedLanguageModel
    initial: Initial
    softmax: SoftmaxRows
    compute: Compute

    @classmethod
    def load(cls, found: Pretrained, compute: Compute) -> Masked:
        """Read the weights of a checkpoint.

        Raises:
            CorruptArtefactError: it is not what it was when it was found.
        """
        manifest = verify(found.path)
        softmax = SoftmaxRows.of(found.ensemble, _masking(manifest.what))
        model = MaskedLanguageModel(
            found.architecture, found.ensemble.size, softmax.tensors(), "fp32"
        )
        state = {name: weight.float() for name, weight in load_weights(found.path).items()}
        wrong = model.load_state_dict(state, strict=False)
        if wrong.missing_keys or wrong.unexpected_keys:
            raise CorruptArtefactError(
                f"the checkpoint has no {(wrong.missing_keys or wrong.unexpected_keys)[0]!r}",
                where=str(found.path),
                why="a checkpoint holds the encoder and the head of its own architecture",
                fix="restore it from a backup, or train again",
            )
        names = (found.run_id, found.fingerprint, found.architecture, found.ensemble)
        return cls(model.to(compute.device).eval(), Initial(*names, None), softmax, compute)

    def reader(self, name: str) -> Reader:
        """Return what is needed to read texts with one vocabulary.

        Raises:
            MissingInputError: no installed package brings its family.
        """
        known = self.initial.ensemble.vocabularies
        index = next(i for i, vocabulary in enumerate(known) if vocabulary.name == name)
        tokenizer = FamilyRegistry.discover().tokenizer(known[index])
        return Reader(index, tokenizer, packer(self.initial, known[index]))


@dataclass(frozen=True)
class Reader:
    """One vocabulary of a model.

    Attributes:
        index: Its place in the ensemble.
        tokenizer: Encodes texts.
        packer: Lays out rows after the prompt of the vocabulary.
    """

    index: int
    tokenizer: Tokenizer
    packer: RowPacker


def packer(initial: Initial, vocabulary: Vocabulary) -> RowPacker:
    """Return who lays out rows in a vocabulary of a model.

    Raises:
        MissingInputError: the model never saw the vocabulary.
    """
    nothing = SplitTokens(np.zeros(0, np.int32), np.zeros(1, np.int64))
    names = (vocabulary.name, vocabulary.fingerprint)
    return RowPacker(initial, TaskTokens(*names, nothing, nothing, nothing))


def row_starts(lengths: NDArray[np.int64], num_specials: int) -> NDArray[np.int64]:
    """Return the packed position of the first word of each row that a packer lays out."""
    ends = np.cumsum(lengths + num_specials)
    # The last special of a row closes it; the others stand in front of its words.
    starts: NDArray[np.int64] = ends - lengths - 1
    return starts


def moved(values: NDArray[np.int64], compute: Compute) -> torch.Tensor:
    """Return indices on the device."""
    return torch.from_numpy(values).to(compute.device)


def _masking(what: object) -> Masking:
    """Return the law a model was trained with; its scope says what words compete."""
    feed = what.get("feed") if isinstance(what, dict) else None
    masking = feed.get("masking") if isinstance(feed, dict) else None
    scope = masking.get("scope") if isinstance(masking, dict) else None
    return Masking(scope="union") if scope == "union" else Masking()
