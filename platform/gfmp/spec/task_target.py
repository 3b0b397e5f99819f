"""What a task asks to be predicted: kind, names, columns, weights and the metrics that fit."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
)

from gfmp.spec.base import Closed, PositiveInt

TargetKind = Literal["binary", "multiclass", "multilabel", "regression"]
Column = Annotated[str, Field(min_length=1)]

CLASS_METRICS = ("mcc", "accuracy", "macro_f1", "auroc", "auprc")
VALUE_METRICS = (
    "pearson_r",
    "spearman_r",
    "r2_determination",
    "r2_pearson",
    "r2_logit",
    "r2_pearson_logit",
)


def fitting_metrics(kind: TargetKind) -> tuple[str, ...]:
    """Return the metrics that can score a target of this kind."""
    return VALUE_METRICS if kind == "regression" else CLASS_METRICS


class TargetSpec(Closed):
    """What is predicted.

    Attributes:
        kind: `binary` and `multiclass` choose one class per row, `multilabel` says yes or no
            to each label, `regression` predicts one or several values.
        columns: Columns of a table: one for classes (default `label`), one per label or value.
        groups: Labels or values that are only counted: name of a group to how many there are, in
            their order; they are called `DHS.1`, `DHS.2` and so on.
        by_context: Every column is a context, such as a tissue: a row becomes one row for each
            column, in that context, with one value of this name.
        names: Class names in the order of their numbers (default `0`, `1` for binary, and the
            classes of the rule for derived rows); names of labels or values, when they differ
            from their columns. Labels of `profiles` need none: their peaks are named.
        positive_weight: Weight of positive examples in the loss (binary, multilabel).
        log10_offset: Values are learned as log10(value + this); without it as they stand.
    """

    kind: TargetKind
    columns: Annotated[tuple[Column, ...], Field(validate_default=True)] = ()
    groups: dict[Column, PositiveInt] = Field(default_factory=dict)
    by_context: Column | None = None
    names: Annotated[tuple[Column, ...], Field(validate_default=True)] = ()
    positive_weight: Annotated[float, Field(gt=0.0)] = 1.0
    log10_offset: Annotated[float, Field(gt=0.0)] | None = None

    @field_validator("columns")
    @classmethod
    def _columns_fit(cls, columns: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if info.data.get("kind") in ("binary", "multiclass"):
            if len(columns) > 1:
                raise ValueError(f"{info.data['kind']} has one column of classes")
            return columns or ("label",)
        if len(set(columns)) < len(columns):
            raise ValueError("a column stands twice")
        return columns

    @field_validator("groups")
    @classmethod
    def _groups_fit(cls, groups: dict[str, int], info: ValidationInfo) -> dict[str, int]:
        if groups and info.data.get("kind") not in ("multilabel", "regression"):
            raise ValueError("groups count labels or values; classes have names")
        if groups and info.data.get("columns"):
            raise ValueError("give columns or groups, not both")
        return groups

    @field_validator("by_context")
    @classmethod
    def _values_of_contexts(cls, name: str | None, info: ValidationInfo) -> str | None:
        if name is not None and info.data.get("kind") != "regression":
            raise ValueError("only values of a regression stand in a column for each context")
        if name is not None and not info.data.get("columns"):
            raise ValueError("list the columns that are contexts")
        return name

    @field_validator("names")
    @classmethod
    def _names_fit(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        kind, columns = info.data.get("kind"), info.data.get("columns", ())
        if (one := info.data.get("by_context")) is not None:
            if names not in ((), (one,)):
                raise ValueError("by_context names the one value: remove names")
            return (str(one),)
        counted = _counted(info.data.get("groups", {}))
        if kind in ("multilabel", "regression"):
            names = names or columns or counted
        if len(set(names)) < len(names):
            raise ValueError("a name stands twice")
        _check_number(kind, names, columns or counted)
        return names

    @field_validator("positive_weight")
    @classmethod
    def _weight_fits(cls, weight: float, info: ValidationInfo) -> float:
        if weight != 1.0 and info.data.get("kind") in ("multiclass", "regression"):
            raise ValueError(f"{info.data['kind']} has no positive class to weigh")
        return weight

    @field_validator("log10_offset")
    @classmethod
    def _only_values(cls, offset: float | None, info: ValidationInfo) -> float | None:
        if offset is not None and info.data.get("kind") != "regression":
            raise ValueError("only values of a regression have a logarithm")
        return offset

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Leave out what is not asked for: a target without it keeps its fingerprint."""
        fields: dict[str, object] = write(self)
        return {
            name: value
            for name, value in fields.items()
            if name not in ("groups", "log10_offset", "by_context") or value
        }


def _counted(groups: dict[str, int]) -> tuple[str, ...]:
    return tuple(f"{group}.{i + 1}" for group, count in groups.items() for i in range(count))


def _check_number(kind: object, names: tuple[str, ...], columns: tuple[str, ...]) -> None:
    if kind == "binary" and len(names) not in (0, 2):
        raise ValueError("binary has two classes: the negative one, then the positive one")
    if kind == "multiclass" and len(names) == 1:
        raise ValueError("multiclass has at least two classes")
    if kind == "regression" and not names:
        raise ValueError("regression lists its columns")
    if kind in ("multilabel", "regression") and columns and len(names) != len(columns):
        raise ValueError(f"{len(names)} names for {len(columns)} columns")
