"""The rows of the views as rows of tables, whichever views there are, and back.

A table has a column for each field of its rows. What SQLite has no type for stands there as JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, get_args, get_type_hints

import msgspec
from msgspec import Struct

from by_cp.projections.views import Views

RENAMED = {"group": "wake_group", "limit": "in_flight_max"}
"""Fields whose names are SQL's own words."""

_SCALARS = (str, int, bool)


class Column(NamedTuple):
    """One column, and the field that it has."""

    name: str
    field: str
    kind: type
    """str or int."""
    is_json: bool
    hint: Any
    """What the field is."""

    def to_sql(self, value: Any) -> Any:
        """Return a field's value as the column has it."""
        return msgspec.json.encode(value).decode() if self.is_json else value

    def from_sql(self, value: Any) -> Any:
        """Return a column's value as the field has it."""
        if self.is_json:
            return msgspec.json.decode(value, type=self.hint)
        return msgspec.convert(value, self.hint, strict=False)


class View(NamedTuple):
    """One view as a table."""

    name: str
    row: type[Struct]
    columns: tuple[Column, ...]
    to_sql: Callable[[Struct], tuple[Any, ...]]
    """Gives a row as the table has it."""

    @property
    def key(self) -> Column:
        """What a row is about."""
        return self.columns[0]

    @property
    def is_of_executions(self) -> bool:
        """Whether each row is about one execution."""
        return self.key.name == "execution_id"

    def from_sql(self, values: Iterable[Any]) -> Any:
        """Return a row as the view has it."""
        pairs = zip(self.columns, values, strict=True)
        return self.row(**{column.field: column.from_sql(value) for column, value in pairs})

    def key_from_sql(self, value: Any) -> Any:
        """Return the key under which the view has the row."""
        return self.key.from_sql(value)


def encoder(columns: Sequence[Column]) -> Callable[[Struct], tuple[Any, ...]]:
    """Return what makes a table's row of a view's row."""
    read = attrgetter(*(column.field for column in columns))
    if not any(column.is_json for column in columns):
        return read

    def encode(row: Struct) -> tuple[Any, ...]:
        return tuple(column.to_sql(value) for column, value in zip(columns, read(row), strict=True))

    return encode


def columns_of(row: type[Struct]) -> tuple[Column, ...]:
    """Return the columns for a class of Structs."""
    hints = get_type_hints(row)
    return tuple(_column(field, hints[field]) for field in row.__struct_fields__)


def views() -> tuple[View, ...]:
    """Return every view but that of the executions, which has a table of its own."""
    hints = get_type_hints(Views)
    rows = {name: get_args(hints[name])[1] for name in Views.__struct_fields__}
    return tuple(_view(name, row) for name, row in rows.items() if name != "executions")


def _view(name: str, row: type[Struct]) -> View:
    columns = columns_of(row)
    return View(name, row, columns, encoder(columns))


def _column(field: str, hint: Any) -> Column:
    is_scalar = isinstance(hint, type) and issubclass(hint, _SCALARS)
    kind: type = int if is_scalar and issubclass(hint, int) else str
    return Column(RENAMED.get(field, field), field, kind, not is_scalar, hint)
