"""What of a trained model leaves the house: weights by public names, vocabularies, a target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from gfmp.errors import DataError, Problem
from gfmp.inference.masked import Masked
from gfmp.learners.compute import Compute
from gfmp.learners.finetuned import Finetuned
from gfmp.learners.initial import Initial
from gfmp.learners.interop import ForeignFolder, read_folder
from gfmp.learners.join import GatedMixture
from gfmp.learners.objective import Values
from gfmp.model.interop import (
    UnfoldedHead,
    head_misfits,
    head_state,
    public_encoder,
    public_head,
)
from gfmp.model.masked import MaskedLanguageModel
from gfmp.spec.pretrain import Masking
from gfmp.spec.vocabularies import parts
from gfmp.tasks.task import Target
from gfmp.training.batches import SoftmaxRows

_ENCODER, _HEAD = "encoder.", "head."
HeadKind = Literal["masked", "rows"]


@dataclass(frozen=True)
class Exportable:
    """A model ready to be written.

    Attributes:
        name: What the model card calls it.
        head: `masked` for a pretrained model, `rows` for a fine-tuned one.
        initial: Its shape, vocabularies and how rows are laid out; its weights are not read.
        weights: All weights under the names of the public code, fp32.
        vocabularies: Places in the ensemble of the vocabularies it reads, in the order of its
            head.
        target: What a fine-tuned model predicts.
        join: How the states of several vocabularies become one.
    """

    name: str
    head: HeadKind
    initial: Initial
    weights: Mapping[str, Tensor]
    vocabularies: tuple[int, ...]
    target: Target | None = None
    join: str = "concat"


def of_masked(model: Masked) -> Exportable:
    """Return a pretrained model."""
    state = {name: weight.detach().cpu() for name, weight in model.model.state_dict().items()}
    head = model.model.head
    types = head.types_D.cpu() if isinstance(head, UnfoldedHead) else None
    weights = public_encoder(model.initial.architecture, _under(_ENCODER, state), types)
    every = tuple(range(len(model.initial.ensemble.vocabularies)))
    weights |= public_head(_under(_HEAD, state))
    return Exportable(model.initial.name, "masked", model.initial, weights, every)


def of_finetuned(made: Finetuned, name: str) -> Exportable:
    """Return a fine-tuned model.

    The last layer of a model of values gives them in the units of the targets: what standardised
    them in training is part of its numbers.
    """
    state = {key: weight.detach().cpu() for key, weight in made.model.state_dict().items()}
    weights = public_encoder(made.initial.architecture, _under(_ENCODER, state))
    weights |= {f"rows.classifier.{n}": w for n, w in _last_layer(made, state).items()}
    if isinstance(made.model.join, GatedMixture):
        weights |= {f"rows.gate.{n}": w.float() for n, w in _under("join.gate.", state).items()}
    known = [vocabulary.name for vocabulary in made.initial.ensemble.vocabularies]
    read = tuple(known.index(one) for one in parts(made.vocabulary))
    join = "gated" if isinstance(made.model.join, GatedMixture) else "concat"
    return Exportable(name, "rows", made.initial, weights, read, made.target, join)


def _last_layer(made: Finetuned, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    layer = _under("head.", state)
    if not isinstance(made.objective, Values):
        return {name: weight.float() for name, weight in layer.items()}
    deviation, mean = made.objective.deviation.double(), made.objective.mean.double()
    return {
        "weight": (layer["weight"].double() * deviation[:, None]).float(),
        "bias": (layer["bias"].double() * deviation + mean).float(),
    }


def _under(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): w for n, w in state.items() if n.startswith(prefix)}


def load_foreign(folder: Path, compute: Compute, vocabulary: str = "") -> Masked:
    """Return a pretrained model from a folder in the layout of DNABERT-2 and Genomics-FM.

    Its logits are those of the public code without dropout, at the words of a vocabulary.

    Args:
        folder: See `gfmp.learners.interop.read_folder`.
        compute: Device and size of a chunk.
        vocabulary: Name of its vocabulary; empty for the folder's name.

    Raises:
        DataError: the weights have no masked-token head; see also `read_folder`.
    """
    found = read_folder(folder, vocabulary)
    _check_head(found)
    initial = found.initial
    softmax = SoftmaxRows.of(initial.ensemble, Masking())
    rows, shape = softmax.tensors(), initial.architecture
    model = MaskedLanguageModel(shape, initial.ensemble.size, rows, "fp32")
    model.head = UnfoldedHead(shape.width, initial.ensemble.size, found.types_D)
    assert initial.state is not None, "a folder has weights"
    state = {f"{_ENCODER}{name}": weight for name, weight in initial.state.items()}
    head = head_state(found.weights, found.rows)
    state |= {f"{_HEAD}{name}": weight for name, weight in head.items()}
    model.load_state_dict(state, strict=True)
    with torch.inference_mode(False):
        model = model.to(compute.device).eval()
    return Masked(model, initial, softmax, compute)


def _check_head(found: ForeignFolder) -> None:
    problems = head_misfits(found.initial.architecture.width, found.weights)
    if problems:
        raise DataError.of(
            tuple(
                Problem(
                    problem,
                    str(found.path),
                    "a pretrained model has the masked-token head of the public code",
                    "give the whole checkpoint; an encoder alone can only be fine-tuned",
                )
                for problem in problems
            )
        )
