"""The whole exception family: one code, one exit status, one rule, one remedy each.

Exit statuses follow sysexits(3) plus the shell convention for signals. Statuses 1 and 134
are always bugs in gfmp.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, as a person should read it.

    Attributes:
        message: What is wrong, with the offending value.
        where: `file:line:col`, a path or a name; empty when there is no place.
        why: The rule that was broken.
        fix: What to type or change.
    """

    message: str
    where: str = ""
    why: str = ""
    fix: str = ""


class GfmpError(Exception):
    """Base of everything gfmp raises for people.

    Attributes:
        code: Stable identifier printed as `error[GFMP-...]`.
        exit_status: Status of the process when this error ends it.
        problems: Every problem found in one pass, never only the first.
    """

    code: ClassVar[str] = "X000"
    exit_status: ClassVar[int] = 70

    def __init__(self, message: str, *, where: str = "", why: str = "", fix: str = "") -> None:
        self.problems: tuple[Problem, ...] = (Problem(message, where, why, fix),)
        super().__init__(message)

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> GfmpError:
        """Build one error that carries several problems; `problems` must not be empty."""
        first = problems[0]
        error = cls(first.message, where=first.where, why=first.why, fix=first.fix)
        error.problems = tuple(problems)
        return error

    def __str__(self) -> str:
        return "; ".join(" ".join(filter(None, (p.where, p.message))) for p in self.problems)

    def __reduce__(self) -> tuple[object, ...]:
        # Ray carries exceptions between processes by pickle; keyword-only fields need help.
        return (_rebuild, (type(self), self.problems))


def _rebuild(cls: type[GfmpError], problems: tuple[Problem, ...]) -> GfmpError:
    return cls.of(problems)


class SpecError(GfmpError):
    """A YAML document asks for something that is not allowed."""

    code, exit_status = "C078", 78


class UsageError(GfmpError):
    """A command was called with an argument that cannot be meant."""

    code, exit_status = "U002", 2


class DataError(GfmpError):
    """A data file is not what it claims to be."""

    code, exit_status = "D065", 65


class CorruptArtefactError(GfmpError):
    """Something gfmp wrote no longer matches its manifest."""

    code, exit_status = "D066", 65


class VocabularyError(GfmpError):
    """A vocabulary breaks the contract every vocabulary keeps."""

    code, exit_status = "V065", 65


class SettingError(VocabularyError):
    """A recipe gives a setting that its family does not have, or a value it does not allow."""

    code, exit_status = "V078", 78


class MissingInputError(GfmpError):
    """A file, package, run or vocabulary that is needed does not exist."""

    code, exit_status = "M066", 66


class PartialSweepError(GfmpError):
    """A sweep ended, but some of its cells failed; what is finished is kept and reported."""

    code, exit_status = "W003", 3


class ServiceError(GfmpError):
    """Ray or MLflow cannot be reached."""

    code, exit_status = "S069", 69


class LostServiceError(ServiceError):
    """Ray's head on this machine died or did not start; the same again may well succeed."""

    code, exit_status = "S075", 75


class TrainingError(GfmpError):
    """Training failed for good: non-finite numbers, memory, worker failures."""

    code, exit_status = "T070", 70


class ExistsError(GfmpError):
    """The output is already there and says something else."""

    code, exit_status = "E073", 73


class LockedError(GfmpError):
    """Another living process owns what this one wants to write."""

    code, exit_status = "E074", 73


class StorageError(GfmpError):
    """The disk refused: full, read-only half-way, broken."""

    code, exit_status = "I074", 74


class RefusedError(GfmpError):
    """Not permitted: unsafe name, path escape, missing permission."""

    code, exit_status = "P077", 77


class InterruptedRunError(GfmpError):
    """The run was asked to stop and left a committed checkpoint (SIGINT, `gfmp runs stop`)."""

    code, exit_status = "R130", 130


class TerminatedRunError(InterruptedRunError):
    """The run was told to end by SIGTERM and left a committed checkpoint."""

    code, exit_status = "R143", 143
