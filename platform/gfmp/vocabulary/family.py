"""What a family of vocabularies must offer, and the recipe it builds from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from gfmp.errors import VocabularyError
from gfmp.storage.documents import did_you_mean
from gfmp.storage.hashes import fingerprint
from gfmp.storage.workspace import checked_name
from gfmp.vocabulary.tokenizer import Tokenizer
from gfmp.vocabulary.vocabulary import LengthLaw, Vocabulary

Setting = int | float | str
MAX_WINDOW_BP = 1_000_000
MAX_SPAN_TOKENS = 512


@dataclass(frozen=True)
class Recipe:
    """How a vocabulary is made; building it twice gives the same vocabulary.

    Attributes:
        name: Name of the vocabulary.
        family: Family that builds it.
        settings: What the family reads; unknown keys are refused when it builds.
        corpus: Corpus the training sample comes from; empty when the family needs none, or to
            take the corpus of the job.
        sample_bp: Bases of the training sample; 0 when the family needs none.
        seed: Seed of the sample.
    """

    name: str
    family: str
    settings: Mapping[str, Setting] = field(hash=False)
    corpus: str = ""
    sample_bp: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        checked_name(self.name, "vocabulary")

    @property
    def fingerprint(self) -> str:
        """sha256 over every field."""
        return fingerprint(self.to_json())

    def to_json(self) -> dict[str, object]:
        """Return the recipe as JSON values."""
        return asdict(self)

    def filled(self, defaults: Mapping[str, Setting]) -> Recipe:
        """Return the recipe with every setting of `defaults` it leaves out.

        Raises:
            VocabularyError: it has a setting that is not in `defaults`.
        """
        for key in self.settings:
            if key not in defaults:
                raise VocabularyError(
                    f"unknown setting {key!r}",
                    where=f"recipe {self.name!r}",
                    why=f"settings of the family {self.family!r} are {', '.join(sorted(defaults))}",
                    fix=did_you_mean(key, defaults) or "remove it",
                )
        return replace(self, settings={**defaults, **self.settings})

    def integer(self, key: str, low: int, high: int) -> int:
        """Return an integer setting that lies in [low, high]; VocabularyError otherwise."""
        value = self.settings.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self._refusal(key, f"an integer from {low:,} to {high:,}")
        return value

    def number(self, key: str, low: float, high: float) -> float:
        """Return a numeric setting that lies in [low, high]; VocabularyError otherwise."""
        value = self.settings.get(key)
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise self._refusal(key, "a number")
        if not low <= value <= high:
            raise self._refusal(key, f"a number from {low} to {high}")
        return float(value)

    def window(self, shortest_bp: int) -> LengthLaw:
        """Return the pretraining lengths its `window_*` settings ask for."""
        longest = self.integer("window_max_bp", shortest_bp, MAX_WINDOW_BP)
        return LengthLaw(
            min_bp=self.integer("window_min_bp", shortest_bp, longest),
            max_bp=longest,
            full_fraction=self.number("window_full_fraction", 0.0, 1.0),
        )

    def mask_span(self) -> int:
        """Return its `mask_span_tokens` setting."""
        return self.integer("mask_span_tokens", 1, MAX_SPAN_TOKENS)

    def _refusal(self, key: str, rule: str) -> VocabularyError:
        return VocabularyError(
            f"{key} is {self.settings.get(key, 'missing')!r}",
            where=f"recipe {self.name!r}",
            why=f"{key} must be {rule}",
            fix="change that setting of the recipe",
        )


@runtime_checkable
class Family(Protocol):
    """A way of making vocabularies: one module of a registered package."""

    @property
    def name(self) -> str:
        """Unique name of the family."""
        ...

    @property
    def needs_corpus(self) -> bool:
        """True when `build` learns from a sample of DNA."""
        ...

    def recipe(self, name: str) -> Recipe | None:
        """Return the recipe a name such as `bpe4096` stands for; None for another family's.

        Raises:
            VocabularyError: the name is of this family but asks for something impossible.
        """
        ...

    def build(self, recipe: Recipe, sample: Sequence[bytes]) -> Vocabulary:
        """Make the vocabulary; `sample` is empty when the family needs no corpus.

        Raises:
            VocabularyError: a setting is unknown or out of range, or the sample is too poor.
        """
        ...

    def tokenizer(self, vocabulary: Vocabulary) -> Tokenizer:
        """Return the tokenizer of a vocabulary of this family.

        Raises:
            VocabularyError: its payload is not of this family.
        """
        ...

    def size_bounds(self, recipe: Recipe) -> tuple[int, int]:
        """Return the fewest and most local ids (specials included) `build` can give."""
        ...

    def import_file(self, path: Path, name: str) -> Vocabulary | None:
        """Read a foreign tokenizer file; None when it is not of a kind this family reads.

        Raises:
            VocabularyError: it is of its kind but broken, or tokenizes in another way.
        """
        ...
