"""What `gfmp predict` and `gfmp embed` ask: everything that decides the answers, frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from pydantic import TypeAdapter

from gfmp.errors import UsageError
from gfmp.genome.locations import LocalFile, digest
from gfmp.inference.found import Found
from gfmp.inference.loaded import chosen, depths_of
from gfmp.inference.row_files import RowFile
from gfmp.inference.rows import Cut, StretchSize
from gfmp.inference.states import Per, Pool, Wanted
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


@dataclass(frozen=True)
class Asked:
    """A file for a model.

    Attributes:
        found: The model.
        file: The file.
        cut: How its records become rows.
        device: `cpu` or `cuda`.
    """

    found: Found
    file: RowFile
    cut: Cut
    device: str

    def digests(self) -> tuple[str, ...]:
        """Return the sha256 of the file, and of its reference where it has one."""
        paths = (self.file.path, *([self.file.reference] if self.file.reference else []))
        return tuple(digest(LocalFile(path)) for path in paths)


def predict_question(asked: Asked, *, calibrated: bool) -> Question:
    """Ask a fine-tuned model for predictions.

    Raises:
        UsageError: the model was only pretrained.
        RefusedError: it reads features beside the sequence.
    """
    num_outputs = asked.found.predicts().num_outputs
    size = StretchSize(min(_ROWS, max(1, _NUMBERS // (2 * num_outputs))), _BASES)
    made_of = (asked.found.model, asked.file, asked.digests(), asked.cut, size, asked.device)
    return Question("predict", *made_of, calibrated=calibrated)


def embed_question(
    asked: Asked, *, vocabulary: str, layers: Sequence[int], per: Per, pool: Pool
) -> Question:
    """Ask a model for hidden states.

    Args:
        asked: File and model.
        vocabulary: In which vocabulary; may be empty where the model reads one.
        layers: Depths; 0 is the embedding, -1 the last block.
        per: See `Wanted`.
        pool: See `Wanted`.

    Raises:
        UsageError: the model has no such layer or vocabulary.
    """
    found = asked.found
    wanted = Wanted(per, depths_of(found, layers), pool)
    name = chosen(found, vocabulary)
    size = _size_of(wanted, found.architecture.width)
    made_of = (found.model, asked.file, asked.digests(), asked.cut, size, asked.device)
    return Question("embed", *made_of, vocabulary=name, wanted=wanted)


def _size_of(wanted: Wanted, hidden: int) -> StretchSize:
    """Decide how much is committed together: its states take about 64 MB at most."""
    affordable = max(1, _NUMBERS // (len(wanted.layers) * wanted.width(hidden)))
    if wanted.per == "sequence":
        return StretchSize(min(_ROWS, affordable), _BASES)
    return StretchSize(_ROWS, min(_BASES, affordable))
