"""Numeric features that stand beside the sequence of a row: those of its tissue or cell type."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from gfmp.spec.base import Closed
from gfmp.spec.corpus import FileSpec
from gfmp.spec.task_sources import FileSource
from gfmp.spec.task_target import Column, TargetSpec


class ContextSpec(Closed):
    """A table with one row of numbers for each context, such as TF expression by tissue.

    The context of a task's row is what its `source.context_column` holds, the column its value
    stands in (`target.by_context`), or `key`.

    Attributes:
        table: Text (comma-separated when the name ends in .csv, else by tabs; .gz or not), or
            Parquet when it ends in .parquet.
        key_column: Column of the table with the names of the contexts.
        columns: Columns that are features; without any, all but `key_column`.
        key: The context of every row of the task.
    """

    table: FileSpec
    key_column: Column = "context"
    columns: tuple[Column, ...] = ()
    key: Annotated[str, Field(min_length=1)] | None = None

    @field_validator("columns")
    @classmethod
    def _no_doubles(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(columns)) < len(columns):
            raise ValueError("a column stands twice")
        return columns


def check_context(context: ContextSpec | None, source: object, target: TargetSpec) -> None:
    """Check that every row has one context where features are asked for, and only there.

    Raises:
        ValueError: the context of a row is not said, said twice, or said and not used.
    """
    column = source.context_column_of_rows() if isinstance(source, FileSource) else ""
    if context is None:
        if column:
            raise ValueError("source.context_column has no features to join: add `context`")
        return
    said = {
        "source.context_column": bool(column),
        "target.by_context": target.by_context is not None,
        "context.key": context.key is not None,
    }
    given = [name for name, there in said.items() if there]
    if len(given) != 1:
        raise ValueError(
            f"the context of a row is said by one of {', '.join(said)};"
            f" here by {' and '.join(given) or 'none'}"
        )
