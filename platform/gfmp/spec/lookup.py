"""Finding a field by what a person types: a path, the end of one, or a short form of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gfmp.errors import UsageError
from gfmp.spec.fields import ANY_NAME, Block, Field
from gfmp.storage.documents import did_you_mean


@dataclass(frozen=True)
class Found:
    """A field or a block that a text may mean.

    Attributes:
        path: Where it stands.
        block: The block that holds the field, or is meant itself.
        field: The field; None when the block is meant.
        also: Other places where the same block stands.
    """

    path: str
    block: Block
    field: Field | None
    also: tuple[str, ...] = ()


def find(text: str, blocks: Sequence[Block]) -> tuple[Found, ...]:
    """Return what `text` means, the most literal reading that means anything.

    In this order: the whole path; the end of a path; the same with keys written short, by their
    beginning or by the first letters of their words (`lr` for `learning_rate`).

    Raises:
        UsageError: nothing is called so; says what is near.
    """
    wanted = tuple(key for key in _keys(text.strip()) if key and not key.isdigit())
    every = [found for block in blocks for found in _all_of(block)]
    for fits in (_whole, _end, _short, _short_end):
        chosen = [found for found in every if wanted and fits(wanted, _keys(found.path))]
        if chosen:
            fields = {found.path for found in chosen if found.field}
            return _once([f for f in chosen if f.field or f.path not in fields])
    raise _unknown(text, every)


def _all_of(block: Block) -> list[Found]:
    own = [Found(field.path, block, field) for field in block.fields]
    return [Found(block.path, block, None), *own]


def _keys(path: str) -> tuple[str, ...]:
    return tuple(key for key in path.split(".") if key != ANY_NAME)


def _whole(wanted: tuple[str, ...], keys: tuple[str, ...]) -> bool:
    return wanted == keys


def _end(wanted: tuple[str, ...], keys: tuple[str, ...]) -> bool:
    return wanted == keys[-len(wanted) :]


def _short(wanted: tuple[str, ...], keys: tuple[str, ...]) -> bool:
    return len(wanted) == len(keys) and all(map(_abbreviates, wanted, keys))


def _short_end(wanted: tuple[str, ...], keys: tuple[str, ...]) -> bool:
    return len(wanted) <= len(keys) and all(map(_abbreviates, wanted, keys[-len(wanted) :]))


def _abbreviates(short: str, key: str) -> bool:
    letters = "".join(word[:1] for word in key.split("_"))
    return key == short or short == letters or (len(short) > 2 and key.startswith(short))


def _once(found: Sequence[Found]) -> tuple[Found, ...]:
    """Tell the same key of the same class at several places once, with the other places."""
    chosen: dict[tuple[str, str], list[Found]] = {}
    for one in found:
        chosen.setdefault((one.block.defined, one.field.key if one.field else ""), []).append(one)
    return tuple(
        Found(f[0].path, f[0].block, f[0].field, tuple(dict.fromkeys(o.path for o in f[1:])))
        for f in chosen.values()
    )


def _unknown(text: str, every: Sequence[Found]) -> UsageError:
    paths = {found.path for found in every}
    keys = {path.rpartition(".")[2] for path in paths}
    near = did_you_mean(text, paths) or did_you_mean(text.rpartition(".")[2], keys)
    return UsageError(
        f"no field is called {text!r}",
        why="a field is a kind and keys with dots between, such as pretrain.optimiser.betas",
        fix=near or "gfmp schema lists the kinds; gfmp explain pretrain the keys of one",
    )
