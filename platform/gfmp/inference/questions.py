"""What `gfmp predict` and `gfmp embed` ask: everything that decides the answers, frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from pydantic import TypeAdapter

from gfmp.errors import UsageError
from gfmp.genome.locations import LocalFile, digest
from gfmp.inference.found import Found
from gfmp.inference.row_files import RowFile
from gfmp.inference.rows import Cut, StretchSize
from gfmp.inference.states import Wanted
from gfmp.plan.cells import Ingredient
from gfmp.storage.hashes import fingerprint

# Goes up when a change of gfmp changes the numbers of an answer.
NUMERICS_VERSION = 1
Verb = Literal["predict", "embed"]
# What one stretch holds at most: enough to fill micro-batches, little enough to be lost.
_ROWS, _BASES, _NUMBERS = 2_000, 500_000, 1 << 24


@dataclass(frozen=True)
class Question:
    """A file of sequences for a model.

    Attributes:
        verb: What is asked.
        model: The model, and the hash of what decides its answers.
        file: How the file is read; its paths do not count.
        digests: sha256 of the file, and of the reference of a BED file.
        cut: How records become rows.
        size: What is committed together.
        device: `cpu` or `cuda`; a GPU multiplies in 16 bits, so its numbers differ a little.
        calibrated: Whether predictions have confidence (`predict`).
        vocabulary: In which vocabulary states are read (`embed`).
        wanted: Which states (`embed`).
    """

    verb: Verb
    model: Ingredient
    file: RowFile
    digests: tuple[str, ...]
    cut: Cut
    size: StretchSize
    device: str
    calibrated: bool = True
    vocabulary: str = ""
    wanted: Wanted = field(default_factory=Wanted)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over everything but the paths of files."""
        body = self.to_json()
        file = {k: v for k, v in vars(self.file).items() if k not in ("path", "reference")}
        return fingerprint({**body, "file": file, "numerics": NUMERICS_VERSION})

    def to_json(self) -> dict[str, object]:
        """Return the question as JSON values."""
        body: Mapping[str, object] = TypeAdapter(Question).dump_python(self, mode="json")
        return dict(body)


def digests(file: RowFile) -> tuple[str, ...]:
    """Return the sha256 of a file of sequences, and of its reference where it has one."""
    paths = (file.path, *([file.reference] if file.reference else []))
    return tuple(digest(LocalFile(path)) for path in paths)


@dataclass(frozen=True)
class CutRequest:
    """What a person says about the length of rows; 0 leaves it to gfmp.

    Attributes:
        window_bp: See `Cut`; 0 takes records whole.
        step_bp: See `Cut`; 0 lets windows follow one another.
        longest_bp: See `Cut`; 0 takes what fits in memory for this model.
    """

    window_bp: int = 0
    step_bp: int = 0
    longest_bp: int = 0


def resolve_cut(asked: CutRequest, found: Found) -> Cut:
    """Decide how records become rows for a model.

    Raises:
        UsageError: the numbers cannot be meant together.
    """
    longest = asked.longest_bp or found.longest_bp
    step = asked.step_bp or asked.window_bp
    rules = (
        (asked.window_bp and asked.window_bp < found.shortest_bp)
        and f"the vocabulary of the model encodes at least {found.shortest_bp} bases",
        asked.window_bp > longest and f"rows have at most {longest:,} bases (--longest-bp)",
        asked.step_bp > asked.window_bp and "windows cover every base, so a step is no longer",
    )
    for rule in rules:
        if rule:
            raise UsageError(
                f"--window-bp {asked.window_bp} --step-bp {step}",
                why=rule,
                fix="choose a window the model was trained on, such as --window-bp 512",
            )
    return Cut(asked.window_bp, step, found.shortest_bp, longest)


def size_of(found: Found, wanted: Wanted | None) -> StretchSize:
    """Decide how much is committed together, so that its answers take about 64 MB at most.

    Args:
        found: The model.
        wanted: The states that are asked for; None for predictions.
    """
    if wanted is None:
        assert found.target is not None, "predictions have a target"
        return StretchSize(min(_ROWS, max(1, _NUMBERS // (2 * found.target.num_outputs))), _BASES)
    numbers = len(wanted.layers) * wanted.width(found.architecture.width)
    affordable = max(1, _NUMBERS // numbers)
    if wanted.per == "sequence":
        return StretchSize(min(_ROWS, affordable), _BASES)
    return StretchSize(_ROWS, min(_BASES, affordable))
