"""The INFO column of a VCF: read by key, and extended without touching the rest of a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gfmp.genome.vcf import VcfRecord

_ID, _INFO = 2, 7
_ABSENT = "."


@dataclass(frozen=True)
class InfoField:
    """An INFO field with one value for each alternate.

    Attributes:
        name: Its ID; letters, digits, dots and underscores, no digit first.
        type: `Float` or `String`.
        description: What it is; no quotes.
    """

    name: str
    type: str
    description: str

    @property
    def header(self) -> str:
        """The line that declares it (VCF 4.3, section 1.4.2)."""
        return f'##INFO=<ID={self.name},Number=A,Type={self.type},Description="{self.description}">'


def name_of(record: VcfRecord) -> str:
    """Return the ID column of a record; empty where it has none."""
    name = record.text.split("\t", _ID + 1)[_ID]
    return "" if name == _ABSENT else name


def values_of(record: VcfRecord, key: str) -> tuple[str, ...]:
    """Return the values of an INFO field, one for each alternate or one for all; none if absent."""
    info = record.text.split("\t", _INFO + 1)[_INFO]
    for entry in info.split(";"):
        name, _, value = entry.partition("=")
        if name == key:
            return tuple(value.split(","))
    return ()


def extended(record: VcfRecord, fields: Mapping[str, Sequence[str]]) -> str:
    """Return the line of a record with more INFO; fields of the same names are replaced.

    Args:
        record: The record.
        fields: Name -> one value for each alternate; `.` where there is none. A field without
            any value is left out.
    """
    columns = record.text.split("\t")
    kept = [
        entry
        for entry in columns[_INFO].split(";")
        if entry != _ABSENT and entry.partition("=")[0] not in fields
    ]
    added = [
        f"{name}={','.join(values)}"
        for name, values in fields.items()
        if any(value != _ABSENT for value in values)
    ]
    columns[_INFO] = ";".join([*kept, *added]) or _ABSENT
    return "\t".join(columns)


def declared(lines: Sequence[str], fields: Sequence[InfoField], note: str) -> tuple[str, ...]:
    """Return the header of a VCF with more INFO fields before the line of the columns.

    Args:
        lines: The header, the line of the columns last.
        fields: The fields; an older declaration of the same name goes.
        note: What wrote them, as `##key=value` without the hashes.
    """
    names = tuple(f"##INFO=<ID={field.name}," for field in fields)
    kept = [line for line in lines[:-1] if not line.startswith(names)]
    return (*kept, f"##{note}", *(field.header for field in fields), lines[-1])
