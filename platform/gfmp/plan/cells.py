"""One cell of a sweep: exactly what is learned from which labels, and its identity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from pydantic import TypeAdapter

from gfmp.spec.learner import CONCAT, AnyLearner, Finetuning, Learner
from gfmp.spec.vocabularies import joined, parts
from gfmp.storage.hashes import fingerprint

# By kind of learner. Goes up when a change of gfmp changes the numbers of its cells; finished ones
# then run again.
NUMERICS_VERSIONS = {"finetune": 2, "probe": 2, "kmer": 1, "cnn": 1}
NONE = ""
# Cells that are scored on their own task alone keep the names they had before there were others.
_ALSO_ON = "also_on"


@dataclass(frozen=True)
class Ingredient:
    """Something a cell is made of: its name for people and the hash of its content.

    Attributes:
        name: Empty where a baseline has no such thing.
        fingerprint: Empty with `name`.
    """

    name: str = NONE
    fingerprint: str = NONE

    @classmethod
    def together(cls, members: Sequence[Ingredient]) -> Ingredient:
        """Return several as one, whatever their order; one alone stays what it is."""
        if len(members) == 1:
            return members[0]
        ordered = sorted(members, key=lambda member: member.name)
        name = joined(member.name for member in ordered)
        return cls(name, fingerprint({"together": [member.fingerprint for member in ordered]}))


@dataclass(frozen=True, order=True)
class TrialKey:
    """What the cells of one trial share, so that they share its work."""

    task: str
    vocabulary: str
    initial: str
    baseline: str


@dataclass(frozen=True)
class Cell:
    """One learner on one label subset of one task.

    Attributes:
        task: The task.
        vocabulary: The one vocabulary whose prompt is active, or those read at once; none for
            baselines.
        initial: Where the weights start: a pretrained run, a folder, `scratch`; none for
            baselines.
        learner: Its settings, nothing left out.
        label_percent: Share of the training rows that are labelled, in percent.
        seed: Chooses the subset, the initial head, the order of rows.
        subset: Fingerprint of the subset's rows.
        num_rows: Rows in the subset.
        numerics: Which numbers its learner gives, see `NUMERICS_VERSIONS`; 0 becomes those of
            this gfmp. A plan keeps them, so that a later gfmp reads what an earlier one ran.
        also_on: Other tasks whose test rows its model is scored on too, by name.
    """

    task: Ingredient
    vocabulary: Ingredient
    initial: Ingredient
    learner: AnyLearner
    label_percent: float
    seed: int
    subset: str
    num_rows: int
    numerics: int = 0
    also_on: tuple[Ingredient, ...] = ()

    def __post_init__(self) -> None:
        if not self.numerics:
            object.__setattr__(self, "numerics", NUMERICS_VERSIONS[self.learner.kind])

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of what decides the result: contents, learner and seed; no names, no commit."""
        made_of: dict[str, object] = {
            "numerics": self.numerics,
            "task": self.task.fingerprint,
            "vocabulary": self.vocabulary.fingerprint,
            "initial": self.initial.fingerprint,
            "learner": self.learner.model_dump(mode="json"),
            "seed": self.seed,
            "subset": self.subset,
        }
        if self.also_on:
            made_of[_ALSO_ON] = [other.fingerprint for other in self.also_on]
        return fingerprint(made_of)

    @property
    def method(self) -> str:
        """What a table calls the learner: `full`, `lora`, `probe`, `kmer` or `cnn`."""
        learner = self.learner
        return learner.method if isinstance(learner, Finetuning) else learner.kind

    @property
    def vocabularies(self) -> tuple[str, ...]:
        """Names of the vocabularies it reads, sorted; none for baselines."""
        return parts(self.vocabulary.name)

    @property
    def words(self) -> str:
        """What a table calls its vocabularies: `kmer6`, `bpe4096+kmer6`, `bpe4096+kmer6 gated`."""
        learner = self.learner
        if isinstance(learner, Finetuning) and learner.join != CONCAT:
            return f"{self.vocabulary.name} {learner.join}"
        return self.vocabulary.name

    @property
    def model(self) -> str:
        """What a table calls the row: method, vocabulary and initial model."""
        return " / ".join(part for part in (self.method, self.words, self.initial.name) if part)

    @property
    def trial(self) -> TrialKey:
        """The trial the cell belongs to."""
        baseline = NONE if self.vocabulary.name else self.learner.kind
        return TrialKey(self.task.name, self.vocabulary.name, self.initial.name, baseline)

    def to_json(self) -> dict[str, object]:
        """Return JSON values with the fingerprint."""
        body: dict[str, object] = TypeAdapter(Cell).dump_python(self, mode="json")
        if not self.also_on:
            del body[_ALSO_ON]
        return {"fingerprint": self.fingerprint, **body}

    @classmethod
    def from_json(cls, value: dict[str, object]) -> Cell:
        """Rebuild a cell written by `to_json`.

        Raises:
            ValueError: a field is missing or of another type (pydantic's ValidationError).
        """
        body = {key: part for key, part in value.items() if key != "fingerprint"}
        learner = TypeAdapter(Learner).validate_python(body.pop("learner"), strict=False)
        parts = {
            name: TypeAdapter(Ingredient).validate_python(body.pop(name))
            for name in ("task", "vocabulary", "initial")
        }
        others = TypeAdapter(tuple[Ingredient, ...]).validate_python(body.pop(_ALSO_ON, ()))
        rest = TypeAdapter(dict[str, float | int | str]).validate_python(body)
        return cls(
            **parts,
            learner=learner,
            label_percent=float(rest["label_percent"]),
            seed=int(rest["seed"]),
            subset=str(rest["subset"]),
            num_rows=int(rest["num_rows"]),
            numerics=int(rest.get("numerics", 0)),
            also_on=others,
        )
