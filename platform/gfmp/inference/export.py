"""A trained model as a folder that others read: `tokenizers`, `safetensors`, `transformers`.

The weights have the names and shapes of the public code of MosaicBERT, which DNABERT-2 and
Genomics-FM share. What is ours beside them (prompts, several vocabularies, thirds of a row) is in
files of plain torch that lie in the folder and import nothing of gfmp.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from gfmp.errors import ExistsError, VocabularyError
from gfmp.inference.exportable import Exportable
from gfmp.inference.model_card import Lineage, model_card
from gfmp.inference.shipped import gfmp_network
from gfmp.learners.interop import CONFIG_FILE, ENSEMBLE_FILE, WEIGHT_FILES
from gfmp.model.interop import NUM_TYPES
from gfmp.model.layers import LAYER_NORM_EPSILON
from gfmp.storage.atomic import atomic_write, staged_directory, storage_faults, write_json
from gfmp.training.tensors import write_tensors
from gfmp.vocabulary.registry import FamilyRegistry
from gfmp.vocabulary.stock import stock_of, tokenizer_json
from gfmp.vocabulary.tokenizer import Tokenizer
from gfmp.vocabulary.vocabulary import CLS, MASK, PAD, SEP, SPECIALS, UNK

CARD_FILE, TOKENIZER_FILE = "README.md", "tokenizer.json"
_TOKENIZER_CONFIG = "tokenizer_config.json"
_SHIPPED = Path(gfmp_network.__file__).parent
_NETWORK, _WORDS = "gfmp_network.py", "tokenization_gfmp.py"
_CODE = (_NETWORK, "configuration_gfmp.py", "modeling_gfmp.py")
_CLASSES = {
    "masked": ("AutoModelForMaskedLM", "GfmpForMaskedLM"),
    "rows": ("AutoModelForSequenceClassification", "GfmpForSequenceClassification"),
}
_PROBLEM_TYPES = {
    "binary": "single_label_classification",
    "multiclass": "single_label_classification",
    "multilabel": "multi_label_classification",
    "regression": "regression",
}
_SPECIAL_NAMES = {
    "pad_token": PAD,
    "unk_token": UNK,
    "cls_token": CLS,
    "sep_token": SEP,
    "mask_token": MASK,
}
# Sequences that the written tokenizer must read as ours does.
_PROOFS, _PROOF_BP = 24, 200
_PROOF_SEED = 0


def write_folder(model: Exportable, lineage: Lineage, folder: Path) -> None:
    """Publish a model as `folder`.

    Every tokenizer.json is read back and compared with the vocabulary it was written from.

    Raises:
        ExistsError: the folder is there.
        StorageError: the disk refused.
        VocabularyError: a written tokenizer reads otherwise than its vocabulary.
    """
    if folder.exists():
        raise ExistsError(
            "there is something already",
            where=str(folder),
            why="an exported model is written whole, and nothing is overwritten",
            fix="remove it, or give another folder with --out",
        )
    entries = []
    with staged_directory(folder) as staging:
        for index in model.vocabularies:
            entries.append(_write_vocabulary(model, index, staging))
        _write_tokenizer(staging, staging, entries[0])
        config = config_json(model, entries)
        write_json(staging / CONFIG_FILE, config)
        write_json(staging / ENSEMBLE_FILE, model.initial.ensemble.to_json())
        with storage_faults(folder):
            write_tensors(model.weights, staging / WEIGHT_FILES[0], {"format": "pt"})
        for name in _CODE:
            atomic_write(staging / name, (_SHIPPED / name).read_bytes())
        card = model_card(model, lineage, entries)
        atomic_write(staging / CARD_FILE, card.encode("utf-8"))


def config_json(model: Exportable, entries: list[dict[str, object]]) -> dict[str, object]:
    """Return the content of config.json: the keys of BERT's, and ours."""
    shape, (auto, name) = model.initial.architecture, _CLASSES[model.head]
    classes = {"AutoModel": "modeling_gfmp.GfmpModel", auto: f"modeling_gfmp.{name}"}
    config: dict[str, object] = {
        "model_type": "gfmp",
        "architectures": [name],
        "auto_map": {"AutoConfig": "configuration_gfmp.GfmpConfig", **classes},
        "hidden_size": shape.width,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.intermediate,
        "vocab_size": model.initial.ensemble.size,
        "type_vocab_size": NUM_TYPES,
        "layer_norm_eps": LAYER_NORM_EPSILON,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "use_alibi": True,
        "alibi_starting_size": 512,
        "pad_token_id": PAD,
        "cls_token_id": CLS,
        "sep_token_id": SEP,
        "mask_token_id": MASK,
        "dtype": "float32",
        "head": model.head,
        "prompted": model.initial.prompted,
        "num_leading": 2 if model.initial.prompted else 1,
        "vocabularies": entries,
    }
    return config | _target(model)


def _target(model: Exportable) -> dict[str, object]:
    if model.target is None:
        return {}
    names = model.target.names
    return {
        "join": model.join,
        "target_kind": model.target.kind,
        "target_names": list(names),
        "problem_type": _PROBLEM_TYPES[model.target.kind],
        "id2label": {str(place): name for place, name in enumerate(names)},
        "label2id": {name: place for place, name in enumerate(names)},
    }


def _write_vocabulary(model: Exportable, index: int, staging: Path) -> dict[str, object]:
    """Write the tokenizer of one vocabulary into a folder of its own; return its entry."""
    families, ensemble = FamilyRegistry.discover(), model.initial.ensemble
    vocabulary = ensemble.vocabularies[index]
    stock = stock_of(vocabulary, families)
    folder = staging / "vocabularies" / vocabulary.name
    folder.mkdir(parents=True)
    prompted = model.initial.prompted
    body = tokenizer_json(ensemble, index, stock, prompted=prompted)
    text = json.dumps(body, ensure_ascii=True, separators=(",", ":"))
    atomic_write(folder / TOKENIZER_FILE, f"{text}\n".encode("ascii"))
    entry: dict[str, object] = {
        "name": vocabulary.name,
        "fingerprint": vocabulary.fingerprint,
        "tokenizer": f"vocabularies/{vocabulary.name}/{TOKENIZER_FILE}",
        "spacing": stock.spacing,
        "word_bp": vocabulary.word_bp,
        "stride_bp": vocabulary.stride_bp,
        "shortest_bp": vocabulary.shortest_bp,
        "prompt": ensemble.tokens[ensemble.prompt(index)] if prompted else "",
    }
    if stock.spacing != "words":
        _prove(folder / TOKENIZER_FILE, entry, model, families.tokenizer(vocabulary))
    _write_tokenizer(folder, folder, entry)
    return entry


def _write_tokenizer(staging: Path, folder: Path, entry: dict[str, object]) -> None:
    """Write what `transformers` wants beside a tokenizer.json, and the file at the root too."""
    if not (folder / TOKENIZER_FILE).exists():
        written = staging / str(entry["tokenizer"])
        atomic_write(folder / TOKENIZER_FILE, written.read_bytes())
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    config: dict[str, object] = {
        **{
            name: SPECIALS[row] for name, row in zip(names, (PAD, UNK, CLS, SEP, MASK), strict=True)
        },
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
    }
    if entry["spacing"] != "none":
        config["tokenizer_class"] = "GfmpTokenizer"
        config["auto_map"] = {"AutoTokenizer": [None, "tokenization_gfmp.GfmpTokenizer"]}
        config["gfmp_words"] = entry
        for name in (_NETWORK, _WORDS):
            atomic_write(folder / name, (_SHIPPED / name).read_bytes())
    write_json(folder / _TOKENIZER_CONFIG, config)


def _prove(path: Path, entry: dict[str, object], model: Exportable, ours: Tokenizer) -> None:
    """Compare the written file with our tokenizer on random DNA.

    Raises:
        VocabularyError: it reads otherwise.
    """
    import tokenizers

    theirs = tokenizers.Tokenizer.from_file(str(path))
    index = model.initial.ensemble.vocabularies.index(ours.vocabulary)
    table, lead = model.initial.ensemble.rows(index), 2 if model.initial.prompted else 1
    rng = np.random.default_rng(_PROOF_SEED)
    for _ in range(_PROOFS):
        length = int(rng.integers(ours.vocabulary.shortest_bp, _PROOF_BP))
        letters = rng.choice(list("ACGTacgtN"), length, p=[0.22] * 4 + [0.02] * 4 + [0.04])
        sequence = "".join(letters.tolist())
        expected = table[ours.encode([sequence.encode("ascii")]).ids].tolist()
        found = theirs.encode(gfmp_network.spaced(sequence, entry)).ids
        if found[lead:-1] != expected:
            raise _misread(path, ours, sequence)


def _misread(path: Path, ours: Tokenizer, sequence: str) -> VocabularyError:
    return VocabularyError(
        f"the tokenizer.json of {ours.vocabulary.name!r} reads {sequence[:40]}... otherwise",
        where=str(path.name),
        why="an exported tokenizer gives the ids that gfmp gives",
        fix=f"correct `stock` of the family {ours.vocabulary.family!r}, or take it away: its words"
        " are then written without a way to cut sequences into them",
    )
