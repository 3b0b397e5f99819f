"""A long table on disk, stretch by stretch: what was committed is never computed again."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from gfmp.errors import CorruptArtefactError
from gfmp.storage.atomic import atomic_write

_PLAN, _FIRST, _END = b"gfmp.plan", b"gfmp.first", b"gfmp.end"


class TableShards:
    """The shards of one job: files that appear whole, each with its place in the table.

    Args:
        folder: Where they lie.
        plan: Fingerprint of what is computed; shards of another are not taken.
    """

    def __init__(self, folder: Path, plan: str) -> None:
        self._folder, self._plan = folder, plan

    def extent(self, number: int, columns: Sequence[str] = ()) -> tuple[int, int] | None:
        """Return first and one past the last record of a shard; None when it is not there.

        A file that is damaged, of another job or without one of `columns` is not there.
        """
        path = self._path(number)
        if not path.is_file():
            return None
        try:
            found = pq.read_schema(path)
        except (pa.ArrowException, OSError):
            return None
        stamp = found.metadata or {}
        first, end = stamp.get(_FIRST, b""), stamp.get(_END, b"")
        own = stamp.get(_PLAN) == self._plan.encode() and first.isdigit() and end.isdigit()
        if not own or not set(columns) <= set(found.names):
            return None
        return int(first), int(end)

    def commit(self, number: int, table: pa.Table, extent: tuple[int, int]) -> int:
        """Write a shard; return its bytes.

        Args:
            number: Its number.
            table: Its rows.
            extent: Its first record, and one past its last.

        Raises:
            StorageError: the disk refused.
        """
        first, end = extent
        stamp = {_PLAN: self._plan.encode(), _FIRST: b"%d" % first, _END: b"%d" % end}
        out = io.BytesIO()
        pq.write_table(
            table.replace_schema_metadata(stamp), out, compression="zstd", write_page_checksum=True
        )
        atomic_write(self._path(number), out.getvalue())
        return out.tell()

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield the shards in order, some columns or all.

        Raises:
            CorruptArtefactError: a shard cannot be read any more.
        """
        for path in sorted(self._folder.glob("[0-9]*.parquet")):
            try:
                with pq.ParquetFile(path, page_checksum_verification=True) as opened:
                    names = list(columns) if columns is not None else None
                    yield opened.read(columns=names, use_threads=False)
            except (pa.ArrowException, OSError) as fault:
                raise CorruptArtefactError(
                    f"a shard cannot be read: {str(fault).splitlines()[0]}",
                    where=str(path),
                    why="gfmp writes shards whole and never changes them",
                    fix="remove it and go on: it is computed again",
                ) from fault

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.parquet"
