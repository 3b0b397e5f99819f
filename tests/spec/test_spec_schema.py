"""The JSON Schemas accept what gfmp accepts, refuse what it refuses by itself, and have words."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gfmp.errors import UsageError
from gfmp.spec.kinds import KINDS, find_kind
from gfmp.spec.schema import HEADER, all_schemas, header, json_schema
from gfmp.storage.documents import load_document

jsonschema = pytest.importorskip("jsonschema")

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = all_schemas()
FILES = sorted(p for folder in ("jobs", "specs") for p in (ROOT / folder).rglob("*.yaml"))
RECIPES = sorted((ROOT / "tokenizer_registry" / "recipes").glob("*.yaml"))
# Written in several ways that are read alike.
SHORT_FORMS: dict[str, list[dict[str, Any]]] = {
    "finetune": [
        {"vocabulary": ["bpe4096", "kmer6"]},
        {"vocabulary": "auto"},
        {"learner": {"kind": "finetune", "learning_rate": 1}},
        {"compute": {"gpu_fraction": 0}},
    ],
    "pretrain": [
        {"init_from": "demo", "add_vocabularies": ["codon", {"name": "kmer3", "weight": 2}]},
        {"compute": {"zero_stage": 3}},
        {"compute": {"zero_stage": "ddp"}},
    ],
    "variant_effect": [{"variants": "my.vcf", "reference": {"path": "my.fa"}}],
}
EXAMPLES = {
    "finetune": "jobs/finetune.yaml",
    "pretrain": "jobs/pretrain.yaml",
    "variant_effect": "jobs/variant_effect.yaml",
}


def _errors(kind: str, value: object) -> list[str]:
    checker = jsonschema.Draft202012Validator(SCHEMAS[kind])
    return [error.message for error in checker.iter_errors(value)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_is_one(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema(find_kind(kind)))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_yaml_passes_the_schema_of_its_kind(path: Path) -> None:
    value = load_document(path).value
    assert not _errors(str(value["kind"]), value)


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_every_recipe_passes(path: Path) -> None:
    assert not _errors("recipe", load_document(path).value)


@pytest.mark.parametrize(
    ("kind", "change"), [(kind, change) for kind, all_ in SHORT_FORMS.items() for change in all_]
)
def test_short_forms_pass(kind: str, change: dict[str, Any]) -> None:
    value = load_document(ROOT / EXAMPLES[kind]).value
    assert not _errors(kind, {**value, **change})


def _places(value: object, key: tuple[int | str, ...] = ()) -> Iterator[tuple[int | str, ...]]:
    """Yield the key of every mapping inside a value, and of the value itself."""
    if isinstance(value, dict):
        yield key
        for name, child in value.items():
            yield from _places(child, (*key, name))
    elif isinstance(value, list):
        for i, child in enumerate(value):
            yield from _places(child, (*key, i))


# Mappings whose keys a person chooses.
FREE = {"settings", "space", "contigs", "rows", "stand_ins", "groups", "at_least", "set"}
FREE |= {"references", "variants", "members"}


@pytest.mark.parametrize(
    "job",
    [
        "jobs/pretrain.yaml",
        "specs/corpora/demo.yaml",
        "specs/tasks/mrl_human.yaml",
        "specs/finetune_search.yaml",
    ],
)
def test_an_unknown_key_is_refused_in_every_block(job: str) -> None:
    value = load_document(ROOT / job).value
    tried = 0
    for key in _places(value):
        if key and key[-1] in FREE:
            continue
        damaged = copy.deepcopy(value)
        target: Any = damaged
        for part in key:
            target = target[part]
        target["lerning_rate"] = 1
        assert _errors(str(value["kind"]), damaged), key
        tried += 1
    assert tried > 3


def _objects(schema: object) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if "properties" in schema and "$comment" in schema:
            yield schema
        for child in schema.values():
            yield from _objects(child)
    elif isinstance(schema, list):
        for child in schema:
            yield from _objects(child)


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_has_words_and_every_block_is_closed(kind: str) -> None:
    found = list(_objects(SCHEMAS[kind]))
    assert found
    for block in found:
        assert block["additionalProperties"] is False
        assert block["description"] and "Attributes:" not in block["description"]
        silent = [name for name, field in block["properties"].items() if not field["description"]]
        assert not silent, f"{block['$comment']} does not say what {silent} are"


def test_rules_between_keys_are_quoted() -> None:
    sampling = SCHEMAS["pretrain"]["$defs"]["Sampling"]
    assert sampling["x-rules"] == [
        "give exactly one of global_batch_sequences and global_batch_tokens"
    ]
    split = SCHEMAS["task"]["$defs"]["SplitSpec"]["properties"]["test"]
    assert "split by ... names no members" in split["x-rules"]


def test_the_header_leads_from_the_document_to_the_schema(tmp_path: Path) -> None:
    schemas = tmp_path / "schemas"
    for place in ("jobs/a.yaml", "specs/tasks/a.yaml"):
        line = header("task", tmp_path / place, schemas)
        relative = line.removeprefix(HEADER)
        led = ((tmp_path / place).parent / relative).resolve()
        assert led == (schemas / "task.schema.json").resolve()


def test_an_unknown_kind_is_told_with_those_there_are() -> None:
    with pytest.raises(UsageError) as caught:
        find_kind("pretrian")
    assert "did you mean 'pretrain'?" in caught.value.problems[0].fix
    assert "variant_effect" in caught.value.problems[0].why
