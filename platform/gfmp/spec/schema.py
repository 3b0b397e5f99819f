"""JSON Schema of every kind of document, for editors: made from the models that read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from gfmp.spec.kinds import KINDS, Kind
from gfmp.spec.words import details, meanings, rules, summary

DIALECT = "https://json-schema.org/draft/2020-12/schema"
HEADER = "# yaml-language-server: $schema="


def json_schema(kind: Kind) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of documents of `kind`.

    It accepts every document that gfmp accepts. Rules between several keys are not in it as
    constraints; `x-rules` has them in words, and `$comment` names the class that reads a block.
    """
    # Properties keep the order in which they are declared.
    made = TypeAdapter(kind.model).json_schema(schema_generator=_Documented)
    return {"$schema": DIALECT, "title": f"gfmp {kind.name}", **made}


def schema_name(kind: str) -> str:
    """Return the name of the file that holds the schema of a kind."""
    return f"{kind}.schema.json"


def header(kind: str, document: Path, schemas: Path) -> str:
    """Return the comment by which editors find the schema of a document.

    Args:
        kind: Kind of the document.
        document: The YAML file.
        schemas: The folder with the schemas; both lie below one folder.
    """
    folder = schemas.relative_to(schemas.parent)
    ups = len(document.parent.relative_to(schemas.parent).parts)
    return f"{HEADER}{'../' * ups}{folder}/{schema_name(kind)}"


def all_schemas() -> dict[str, dict[str, Any]]:
    """Return kind -> schema."""
    return {name: json_schema(kind) for name, kind in KINDS.items()}


class _Documented(GenerateJsonSchema):
    """Adds the words of docstrings, and leaves out titles that only repeat a key."""

    def field_title_should_be_set(
        self,
        schema: Any,  # noqa: ANN401 - pydantic's own union of a dozen dictionaries
    ) -> bool:
        """No: an editor shows the key itself."""
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """Return the schema of a model with its words."""
        return _with_words(super().model_schema(schema), schema["cls"])

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        """Return the schema of a frozen value that is read strictly, with its words."""
        made = _with_words(super().dataclass_schema(schema), schema["cls"])
        return {**made, "additionalProperties": False}


def _with_words(made: JsonSchemaValue, model: type) -> JsonSchemaValue:
    known, broken = meanings(model), rules(model)
    properties = {
        name: _field_words(field, known.get(name, ""), broken.get(name, ()))
        for name, field in made.get("properties", {}).items()
    }
    words = "\n\n".join(filter(None, (summary(model), details(model))))
    whole = {"x-rules": list(broken[""])} if "" in broken else {}
    comment = f"{model.__module__}.{model.__qualname__}"
    changed = {"properties": properties, "description": words, "$comment": comment}
    return {name: value for name, value in made.items() if name != "title"} | changed | whole


def _field_words(field: JsonSchemaValue, words: str, broken: tuple[str, ...]) -> JsonSchemaValue:
    told = {"x-rules": list(broken)} if broken else {}
    return {**field, **({"description": words} if words else {}), **told}
