"""One event of a run and its line of JSON.

| writer | kind | fields |
|---|---|---|
| driver | started | segment, workers, engine, from_step |
| driver, rank0 | startup | began, marks: name, ended, cpu_seconds of the phases up to step 1 |
| driver | restarted | segment, cause, rank, pid, signal, step, delay_seconds, detail |
| driver | finished | step, seconds |
| driver | failed | error, code |
| driver | interrupted | step, signal: its name, `stop request` or `LOST_RAY` |
| driver | advised | task, initial, vocabulary, confidence, basis: what `auto` stands for |
| driver | search_started | search, name, samples, tried: settings known from before |
| driver | search_sample | search, sample, cell, score, epochs, stopped: by ASHA |
| driver | searched | search, name, chosen: a sample, why, settings |
| driver | surveyed | records, alleles, kind/<kind>, skipped/<reason>: what a VCF holds |
| driver | shard | shard, records: done so far, bytes, rate: alternates a second |
| driver | maps | rows, total: rows of a motif job whose map was read |
| rank0 | resumed | step: last step of the checkpoint that was loaded |
| rank0 | step | step, loss, loss/<vocabulary>, mixture/<vocabulary>: share of rows, seconds, ... |
| rank0 | evaluation | step, heldout/<vocabulary>/loss, .../excess_bits: moves an adaptive mixture |
| rank0 | checkpoint | step, path, bytes, seconds that steps waited, write_seconds in all |
| rank0 | checkpoint_rejected | path, reason |
| rank0 | incident | step, cause, policy, message, dump: a step whose numbers are not sound |
| rank0 | left_out | step: it was dealt and not trained on |
| rank0 | rewound | step: of the checkpoint the run went back to, from_step, first, end, cause |
| rank0, driver | report | flat numbers, checks |
| rank0 | outcome | status, step: how the workers ended |

A line ends with a CRC-32 of all before it, so that a changed digit does not pass for a number;
lines of before have none. A number that is not finite is written as `{"nonfinite": "nan"}` (or
`inf`, `-inf`), because JSON has no word for it and because such a number must keep its meaning.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from gfmp.errors import CorruptArtefactError

LOST_RAY = "Ray was lost"
LIFECYCLE_KINDS = frozenset({"started", "restarted", "finished", "failed", "interrupted"})
COMMIT_KINDS = LIFECYCLE_KINDS | {
    "resumed",
    "checkpoint",
    "checkpoint_rejected",
    "incident",
    "rewound",
    "report",
    "outcome",
    "shard",
}
_CHECKSUM = b',"crc32":'
_NONFINITE = "nonfinite"
_WORDS = frozenset({"nan", "inf", "-inf"})


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Attributes:
        sequence: Number of the event in its file, counted from 0 without gaps.
        time: Unix time in seconds.
        segment: Which start of the run it belongs to, counted from 0.
        writer: `driver` or `rank0`.
        kind: See the table of this module.
        fields: JSON values; floats may be NaN or infinite.
    """

    sequence: int
    time: float
    segment: int
    writer: str
    kind: str
    fields: Mapping[str, object]

    @property
    def step(self) -> int:
        """Optimiser step, counted from 1, of an event that has one.

        Raises:
            CorruptArtefactError: the event has no whole number under `step`.
        """
        value = self.fields.get("step")
        if not isinstance(value, int) or isinstance(value, bool):
            raise CorruptArtefactError(
                f"event {self.kind!r} has step {value!r}",
                where=f"{self.segment:03d}-{self.writer}.jsonl:{self.sequence + 1}",
                why="this kind of event carries a whole number under `step`",
                fix="the ledger was edited or written by another version; restore it",
            )
        return value


def encode(event: Event) -> bytes:
    """Return `event` as one line of ASCII JSON with its checksum, ended by a newline.

    Raises:
        TypeError: a field holds something JSON has no word for.
    """
    value = {
        "sequence": event.sequence,
        "time": event.time,
        "segment": event.segment,
        "writer": event.writer,
        "kind": event.kind,
        "fields": _finite(event.fields),
    }
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    body = text.encode("ascii")[:-1]
    return b"%s%s%d}\n" % (body, _CHECKSUM, zlib.crc32(body))


def decode(line: bytes) -> Event:
    """Rebuild the event of one line.

    Raises:
        ValueError: the line is not an event, or not the one that was written.
    """
    value = json.loads(line, object_hook=_restore)
    if isinstance(value, dict) and (checksum := value.pop("crc32", None)) is not None:
        body, _, found = line.rpartition(_CHECKSUM)
        if checksum != zlib.crc32(body) or found.rstrip(b"\n") != b"%d}" % checksum:
            raise ValueError("its content differs from its checksum")
    try:
        event = Event(**value)
    except TypeError as fault:
        raise ValueError(f"not an event: {fault}") from fault
    if not isinstance(event.fields, dict):
        raise ValueError("not an event: its fields are no mapping")
    return event


def _finite(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return {_NONFINITE: str(float(value))}
    if isinstance(value, Mapping):
        return {key: _finite(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(child) for child in value]
    return value


def _restore(value: dict[str, object]) -> object:
    word = value.get(_NONFINITE)
    if len(value) == 1 and isinstance(word, str) and word in _WORDS:
        return float(word)
    return value
