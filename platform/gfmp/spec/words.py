"""What docstrings and validators of spec models say, taken from where they are written."""

from __future__ import annotations

import ast
import functools
import inspect
import re
import textwrap
from collections.abc import Iterator

from pydantic import BaseModel

_SECTION = re.compile(r"^(Attributes|Source|Raises|Returns|Args):", re.MULTILINE)
_ENTRY = re.compile(r"^(\w+): (.*)$")
# Keys that choose which other keys there are; they need no words of their own.
_CHOOSERS = {
    "kind": "Says what the other keys mean.",
    "format": "Says how the rows are stored, and with that which other keys there are.",
    "rule": "Says how rows are cut out, and with that which other keys there are.",
}


def summary(model: type) -> str:
    """Return what a class is, in one paragraph: its docstring up to the first blank line."""
    paragraphs = inspect.cleandoc(model.__doc__ or "").split("\n\n")
    return " ".join(paragraphs[0].split())


def details(model: type) -> str:
    """Return the paragraphs of a docstring between the first one and its sections."""
    text = inspect.cleandoc(model.__doc__ or "")
    found = _SECTION.search(text)
    paragraphs = (text[: found.start()] if found else text).split("\n\n")[1:]
    return "\n\n".join(" ".join(part.split()) for part in paragraphs if part.strip())


@functools.cache
def meanings(model: type) -> dict[str, str]:
    """Return field -> its words in the `Attributes:` of the class, or of those it inherits from."""
    found: dict[str, str] = {}
    for owner in reversed(model.__mro__):
        found |= dict(_attributes(owner))
    return {**_CHOOSERS, **found}


def _attributes(model: type) -> Iterator[tuple[str, str]]:
    text = inspect.cleandoc(vars(model).get("__doc__") or "")
    _, section, rest = text.partition("Attributes:\n")
    name, words = "", [""]
    for line in rest.split("\n\n")[0].splitlines() if section else ():
        entry = _ENTRY.match(line.removeprefix("    "))
        if entry is None:
            words.append(line.strip())
            continue
        if name:
            yield name, " ".join(words)
        name, words = entry[1], [entry[2]]
    if name:
        yield name, " ".join(words)


def rules(model: type) -> dict[str, tuple[str, ...]]:
    """Return field -> messages of its validators; those that look at several are under ''.

    What a message fills in from the document stands as `...`.
    """
    found: dict[str, list[str]] = {}
    if not issubclass(model, BaseModel):
        return {}
    decorators = model.__pydantic_decorators__
    for field_check in decorators.field_validators.values():
        messages = _messages(field_check.func)
        for name in field_check.info.fields:
            found.setdefault(name, []).extend(messages)
    for check in decorators.model_validators.values():
        found.setdefault("", []).extend(_messages(check.func))
    return {name: tuple(dict.fromkeys(said)) for name, said in found.items() if said}


def _messages(validator: object) -> list[str]:
    """Return what a validator raises, itself or through a function of its module."""
    function = inspect.unwrap(validator) if callable(validator) else validator
    function = function.__func__ if inspect.ismethod(function) else function
    if not inspect.isfunction(function):
        return []
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    said = list(_raised(tree))
    for node in ast.walk(tree):
        other = function.__globals__.get(_called(node))
        if inspect.isfunction(other) and other.__module__ == function.__module__:
            said += _raised(ast.parse(textwrap.dedent(inspect.getsource(other))))
    return said


def _called(node: ast.AST) -> str:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id
    return ""


def _raised(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            raised = node.exc
            # Pydantic's own errors carry a code, which is no sentence.
            if isinstance(raised.func, ast.Name) and raised.func.id == "ValueError":
                yield _text(raised.args[0])


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_text, node.values))
    if isinstance(node, ast.BinOp):
        return _text(node.left) + _text(node.right)
    return "..."
