"""The names of the records of one file: well formed, never twice, never without letters."""

from __future__ import annotations

from gfmp.errors import DataError


class RecordNames:
    """Watches the records of one file go by.

    Attributes:
        current: Name of the record whose letters are being read; empty before the first.
        last_complete: Name of the newest record that ended; empty before the first.
        count: Records that began so far.

    Args:
        origin: The file, for messages.
        unique: Refuse a name twice; the names are then kept, a hundred bytes each.
    """

    def __init__(self, origin: str, *, unique: bool = True) -> None:
        self.current = ""
        self.last_complete = ""
        self.count = 0
        self._origin = origin
        self._unique = unique
        self._lines: dict[str, int] = {}
        self._line = self._num_letters = 0

    def begin(self, name: bytes, line: int) -> None:
        """Start a record named `name` at 1-based `line`, ending the one before.

        Raises:
            DataError: the name is missing, not printable ASCII or already used, or the record
                before has no letters.
        """
        self.end()
        text = name.decode("latin-1")
        if not (text and text.isascii() and text.isprintable()):
            raise self._fault(
                f"record name {text!r} is not allowed",
                line,
                "names are the first word of a record and printable ASCII",
            )
        if text in self._lines:
            raise self._fault(
                f"two records are named {text!r}: lines {self._lines[text]} and {line}",
                line,
                "a coordinate must mean one place",
            )
        if self._unique:
            self._lines[text] = line
        self._line = line
        self.count += 1
        self.current = text
        self._num_letters = 0

    def saw(self, num_letters: int) -> None:
        """Count letters of the current record."""
        self._num_letters += num_letters

    def end(self) -> None:
        """End the current record, if any.

        Raises:
            DataError: it has no letters.
        """
        if self.current and not self._num_letters:
            raise self._fault(
                f"record {self.current!r} has no sequence",
                self._line,
                "every record holds at least one letter",
            )
        self.last_complete = self.current or self.last_complete
        self.current = ""

    def _fault(self, message: str, line: int, why: str) -> DataError:
        return DataError(
            message,
            where=f"{self._origin}:{line}",
            why=why,
            fix="correct the file, or fetch it again if it was cut",
        )
