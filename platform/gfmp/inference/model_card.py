"""The model card of an exported folder: what it is, where it comes from, how it is read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gfmp import __version__
from gfmp.inference.exportable import Exportable

Row = tuple[str, str]
Step = tuple[str, tuple[Row, ...]]
_READS = {
    "none": "DNA as it is",
    "windows": "overlapping words with spaces between them; `spaced` in gfmp_network.py makes them",
    "codons": "codons with spaces between them; `spaced` in gfmp_network.py makes them",
    "words": "words that gfmp has cut, with spaces between them",
}


@dataclass(frozen=True)
class Lineage:
    """Where a model comes from, for people.

    Attributes:
        origin: Run or folder it was exported from.
        steps: What was done, oldest first: a title and its facts.
        scores: Its figures on test rows by name; empty where none were taken.
        commands: What repeats it, one shell line each.
    """

    origin: str
    steps: tuple[Step, ...]
    scores: Mapping[str, float] = field(default_factory=dict)
    commands: tuple[str, ...] = ()


def model_card(model: Exportable, lineage: Lineage, entries: Sequence[Mapping[str, object]]) -> str:
    """Return README.md of an exported folder.

    Args:
        model: What is exported.
        lineage: Where it comes from.
        entries: The vocabularies as config.json has them.
    """
    parts = [
        _front(model),
        f"# {model.name}\n\n{_what(model)}",
        _vocabularies(entries),
        _use(model, entries),
        _lineage(lineage),
        _limits(model, entries),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front(model: Exportable) -> str:
    # No licence: whoever trained the model says which one it has.
    kind = "fill-mask" if model.head == "masked" else "text-classification"
    lines = ["library_name: transformers", f"pipeline_tag: {kind}", "tags: [dna, genomics, gfmp]"]
    return "\n".join(["---", *lines, "---"])


def _what(model: Exportable) -> str:
    shape = model.initial.architecture
    numbers = sum(weight.numel() for weight in model.weights.values())
    encoder = (
        f"A MosaicBERT encoder of DNA (post-LN, GEGLU, symmetric ALiBi): {shape.layers} layers, "
        f"width {shape.width}, {shape.heads} heads, {numbers:,} numbers in fp32."
    )
    if model.target is None:
        return f"{encoder} Pretrained by predicting masked tokens."
    names = model.target.names
    listed = ", ".join(f"`{name}`" for name in names[:12])
    more = f" and {len(names) - 12:,} more" if len(names) > 12 else ""
    what = {"regression": "Values", "multilabel": "Probabilities of labels"}
    said = what.get(model.target.kind, "Probabilities of classes")
    return f"{encoder}\n\nFine-tuned ({model.target.kind}). {said}, in this order: {listed}{more}."


def _vocabularies(entries: Sequence[Mapping[str, object]]) -> str:
    rows = [
        f"| {one['name']} | `{one['tokenizer']}` | {_READS[str(one['spacing'])]} |"
        f" {one['shortest_bp']} | `{str(one['fingerprint'])[:16]}` |"
        for one in entries
    ]
    lines = ["## Vocabularies", "", "| name | file | reads | shortest, bases | fingerprint |"]
    text = "Ids are rows of the embedding table. A row is `[CLS] [PROMPT] words [SEP]`."
    if entries[0]["prompt"] == "":
        text = "Ids are rows of the embedding table. A row is `[CLS] words [SEP]`."
    return "\n".join([*lines, "|---|---|---|---|---|", *rows, "", text])


def _use(model: Exportable, entries: Sequence[Mapping[str, object]]) -> str:
    """Return code that a test runs, in plain torch and with transformers."""
    ask = "predict" if model.head == "rows" else "embed"
    plain = (
        "import sys\n\nsys.path.insert(0, FOLDER)\nimport gfmp_network\n\n"
        f"model = gfmp_network.load(FOLDER)\nprint(model.{ask}([SEQUENCE]))"
    )
    auto = "AutoModelForSequenceClassification" if model.head == "rows" else "AutoModelForMaskedLM"
    text = (
        f"## Use\n\n`FOLDER` is this folder, `SEQUENCE` a text over ACGT. With torch, safetensors "
        f"and tokenizers alone:\n\n```python\n{plain}\n```"
    )
    if len(entries) > 1 and model.head == "rows":
        return (
            f"{text}\n\nWith `transformers`, `{auto}` takes ids and mask of shape (B, "
            f"{len(entries)}, L): the row in each vocabulary, in the order above."
        )
    other = (
        f"from transformers import {auto}, AutoTokenizer\n\n"
        "tokenizer = AutoTokenizer.from_pretrained(FOLDER, trust_remote_code=True)\n"
        f"model = {auto}.from_pretrained(FOLDER, trust_remote_code=True).eval()\n"
        'print(model(**tokenizer([SEQUENCE], return_tensors="pt")).logits)'
    )
    first = f"\n\nThe tokenizer at the root is that of `{entries[0]['name']}`; the others are in "
    more = f"{first}`vocabularies/`." if len(entries) > 1 else ""
    return f"{text}\n\nWith `transformers`:\n\n```python\n{other}\n```{more}"


def _lineage(lineage: Lineage) -> str:
    lines = ["## Lineage", "", f"Exported by gfmp {__version__} from `{lineage.origin}`."]
    for title, rows in lineage.steps:
        lines += ["", f"### {title}", "", "| | |", "|---|---|"]
        lines += [f"| {name} | {value} |" for name, value in rows]
    if lineage.scores:
        lines += ["", "### Scores", "", "| | |", "|---|---|"]
        lines += [f"| {name} | {value:.4f} |" for name, value in sorted(lineage.scores.items())]
    if lineage.commands:
        lines += ["", "What repeats it:", "", "```sh", *lineage.commands, "```"]
    return "\n".join(lines)


def _limits(model: Exportable, entries: Sequence[Mapping[str, object]]) -> str:
    lines = ["## Limits", ""]
    lines += ["* Every letter but ACGT is unknown; lower case reads as upper case."]
    if model.head == "masked":
        lines += [
            "* In pretraining a masked token was told apart from the words of its own vocabulary "
            "only: take the logits at the ids of its tokenizer.json before a softmax."
        ]
    if model.target is not None and model.target.kind == "regression":
        lines += ["* Outputs are in the units of the training targets."]
    if any(one["spacing"] == "words" for one in entries):
        named = json.dumps([one["name"] for one in entries if one["spacing"] == "words"])
        lines += [f"* Only gfmp cuts sequences into the words of {named}."]
    return "\n".join(lines)
