"""An initial model from a local folder in the layout of DNABERT-2 and Genomics-FM."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from gfmp.errors import DataError, MissingInputError, Problem, RefusedError
from gfmp.learners.foreign_tokens import ForeignTokens, read_tokens
from gfmp.learners.initial import Initial
from gfmp.model.interop import POSITIONS, TYPES, WORDS, encoder_part, encoder_state, misfits
from gfmp.model.layers import LAYER_NORM_EPSILON
from gfmp.spec.model import Architecture
from gfmp.storage.atomic import read_json
from gfmp.storage.hashes import fingerprint, sha256_file
from gfmp.vocabulary.ensemble import Ensemble
from gfmp.vocabulary.fields import Fields, json_place
from gfmp.vocabulary.vocabulary import SPECIALS

# Goes up when the same folder gives other weights.
IMPORT_VERSION = 1
CONFIG_FILE, ENSEMBLE_FILE = "config.json", "ensemble.json"
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
# What other programs put pickles into.
_PICKLE_ENDINGS = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_PICKLE_STARTS = (b"\x80", b"PK\x03\x04")
_LENGTH_BYTES = 8
_MOST_SHOWN = 10
_SAFE_ROUTE = (
    "on a machine that may be lost, load it with the program that wrote it and save it with "
    "safetensors.torch.save_file(model.state_dict(), 'model.safetensors'); give that file"
)


@dataclass(frozen=True)
class _Weights:
    path: Path
    every: Mapping[str, Tensor]

    @property
    def part(self) -> Mapping[str, Tensor]:
        """Those of embeddings and blocks."""
        return encoder_part(self.every)


@dataclass(frozen=True)
class ForeignFolder:
    """A folder that was read.

    Attributes:
        initial: Its encoder.
        path: File of the weights.
        weights: All of them by the names of the file, a head's too.
        rows: For each row of our table the row of theirs.
    """

    initial: Initial
    path: Path
    weights: Mapping[str, Tensor]
    rows: Sequence[int]

    @property
    def types_D(self) -> Tensor:
        """Row 0 of the token-type embedding, which our table holds with the words; fp32."""
        return encoder_part(self.weights)[TYPES][0].float()


def from_folder(folder: Path, vocabulary: str = "") -> Initial:
    """Return the encoder of a folder; see `read_folder`."""
    return read_folder(folder, vocabulary).initial


def read_folder(folder: Path, vocabulary: str = "") -> ForeignFolder:
    """Return a folder with config.json, weights and a tokenizer, its encoder as one of ours.

    One that gfmp exported says its vocabularies itself, and keeps their names. Hidden states are
    those of the public code without dropout. Rows begin with a prompt only where the folder's
    tokenizer has one ([BPE], [KMER], as in Genomics-FM; [PROMPT:NAME] in ours).

    Args:
        folder: The folder; nothing of it is executed.
        vocabulary: Name of its vocabulary, which is part of a vocabulary's identity; empty for
            the folder's name.

    Raises:
        MissingInputError: a file is missing.
        RefusedError: the weights are a pickle that could run code.
        DataError: the weights or settings are not of this layout; lists what does not fit.
        VocabularyError: the tokenizer cannot be read as one of ours.
    """
    name = re.sub(r"[^a-z0-9._-]+", "-", folder.resolve().name.lower()).strip("-._")[:64]
    config = _config(folder)
    architecture = _architecture(config)
    weights = _weights(folder)
    _check(architecture, config, weights)
    own = folder / ENSEMBLE_FILE
    if own.is_file():
        ensemble = Ensemble.from_json(read_json(own), str(own))
        prompted = config.value.get("prompted") is True
        rows = _own_rows(ensemble, own, weights)
    else:
        tokens = read_tokens(folder, vocabulary or name or "foreign")
        ensemble, prompted = Ensemble.of([tokens.vocabulary]), bool(tokens.prompt)
        rows = _rows(ensemble, tokens, weights)
    state = encoder_state(architecture, weights.part, rows)
    identity = {
        "import": IMPORT_VERSION,
        "weights": sha256_file(weights.path),
        "architecture": architecture.model_dump(mode="json"),
        "ensemble": ensemble.fingerprint,
        "rows": rows,
    }
    names = (folder.name, fingerprint(identity))
    initial = Initial(*names, architecture, ensemble, state, prompted)
    return ForeignFolder(initial, weights.path, weights.every, rows)


def _config(folder: Path) -> Fields:
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise MissingInputError(
            f"there is no {CONFIG_FILE}",
            where=str(folder),
            why=f"a model folder has {CONFIG_FILE}, weights and a tokenizer",
            fix="give the folder that the model was saved to",
        )
    try:
        value = json.loads(path.read_bytes())
    except ValueError as fault:
        value = fault
    if not isinstance(value, dict):
        raise DataError(
            f"{CONFIG_FILE} is not a JSON object",
            where=str(path),
            why=f"found {str(value)[:200]}",
            fix="copy the file again from where it came from",
        )
    return Fields(value, json_place(str(path)), error=DataError)


def _architecture(config: Fields) -> Architecture:
    keys = {
        "layers": "num_hidden_layers",
        "width": "hidden_size",
        "heads": "num_attention_heads",
        "intermediate": "intermediate_size",
    }
    try:
        return Architecture(**{ours: config.integer(theirs) for ours, theirs in keys.items()})
    except ValidationError as fault:
        raise DataError(
            str(fault.errors()[0]["msg"]),
            where=config.place(()),
            why="the settings must describe an encoder that can be built",
            fix="copy the file again from where it came from",
        ) from fault


def _weights(folder: Path) -> _Weights:
    found = [folder / name for name in WEIGHT_FILES if (folder / name).is_file()]
    if not found:
        pickles = sorted(p for p in folder.rglob("*") if p.suffix in _PICKLE_ENDINGS)
        if pickles:
            raise _refused(pickles[0], "it is a pickle, which may run any code when it is opened")
        raise MissingInputError(
            "there are no weights",
            where=str(folder),
            why=f"they are read from {' or '.join(WEIGHT_FILES)}, whole in one file",
            fix="save the model's state into one of those files",
        )
    return _Weights(found[0], _loaded(found[0]))


def _refused(path: Path, why: str) -> RefusedError:
    return RefusedError("this file is not opened", where=str(path), why=why, fix=_SAFE_ROUTE)


def _loaded(path: Path) -> Mapping[str, Tensor]:
    # Both readers build tensors only; a pickle that wants to run code is refused.
    try:
        if path.suffix == ".safetensors":
            if _starts_as_pickle(path):
                raise _refused(path, "under the name of safetensors it is a pickle")
            return load_file(path)
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as fault:
        asked = str(fault).splitlines()[0][:200]
        raise _refused(path, f"it is a pickle with more than tensors in it: {asked}") from fault
    except (SafetensorError, RuntimeError, EOFError) as fault:
        raise DataError(
            "the weights cannot be read",
            where=str(path),
            why=str(fault).splitlines()[0][:200] or type(fault).__name__,
            fix="copy the file again from where it came from",
        ) from fault
    if not isinstance(weights, dict) or not all(isinstance(w, Tensor) for w in weights.values()):
        raise DataError(
            "the file does not hold the state of a model",
            where=str(path),
            why="it must be a mapping of names to tensors",
            fix="save model.state_dict() of the model",
        )
    return weights


def _starts_as_pickle(path: Path) -> bool:
    with path.open("rb") as stream:
        start = stream.read(_LENGTH_BYTES + 1)
    # The length of a safetensors header, which comes first, may begin with the same byte.
    return start.startswith(_PICKLE_STARTS) and not start.endswith(b"{")


def _check(architecture: Architecture, config: Fields, weights: _Weights) -> None:
    if problems := misfits(architecture, weights.part):
        shown = (
            Problem(
                problem,
                str(weights.path),
                "the weights must be those of the MosaicBERT layout that config.json describes",
                "give a folder of DNABERT-2 or Genomics-FM",
            )
            for problem in problems[:_MOST_SHOWN]
        )
        raise DataError.of(tuple(shown))
    epsilon = config.number("layer_norm_eps") if "layer_norm_eps" in config.value else None
    if epsilon is not None and epsilon != LAYER_NORM_EPSILON:
        raise DataError(
            f"layer_norm_eps is {epsilon:g}",
            where=config.where("layer_norm_eps"),
            why=f"the encoder's LayerNorm adds {LAYER_NORM_EPSILON:g}, as BERT's does",
            fix="use a model that was trained with that number",
        )
    if POSITIONS in weights.part and config.value.get("use_alibi") is not True:
        raise DataError(
            "the weights have a table of positions",
            where=f"{weights.path}: {POSITIONS}",
            why="the encoder has ALiBi instead; in the code of Genomics-FM an argument chooses",
            fix='if it was trained with ALiBi, write "use_alibi": true into config.json',
        )


def _own_rows(ensemble: Ensemble, path: Path, weights: _Weights) -> list[int]:
    num_rows = len(weights.part[WORDS])
    if num_rows != ensemble.size:
        raise DataError(
            f"the vocabularies have {ensemble.size:,} rows, the weights have {num_rows:,}",
            where=str(path),
            why="each token has a row of the embedding table",
            fix="export the model again",
        )
    return list(range(num_rows))


def _rows(ensemble: Ensemble, tokens: ForeignTokens, weights: _Weights) -> list[int]:
    """Return the row of their table for each row of the ensemble."""
    # A prompt nobody trained is never read; it takes a row that exists.
    prompt = tokens.ids[tokens.prompt or SPECIALS[0]]
    own = {ensemble.tokens[ensemble.prompt(0)]: prompt}
    rows = [own[t] if t in own else tokens.ids[t] for t in ensemble.tokens]
    num_rows = len(weights.part[WORDS])
    if max(rows) >= num_rows:
        raise DataError(
            f"the tokenizer has the id {max(rows):,}, the weights have {num_rows:,} rows",
            where=str(tokens.path),
            why="each token has a row of the embedding table",
            fix="use the tokenizer that the model was trained with",
        )
    return rows
