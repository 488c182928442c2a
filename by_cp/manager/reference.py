"""The settings as tables of the docs: `python -m by_cp.manager.reference`."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec import Struct, inspect

from by_cp.manager.config import PROVIDERS, Setting, Settings, settings_of


def table(struct: type[Struct]) -> str:
    """Return the table of a Struct's settings, in Markdown."""
    rows = [("setting", "type", "default", "what it is"), ("---",) * 4]
    rows += map(_row, settings_of(struct))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(setting: Setting) -> tuple[str, str, str, str]:
    default = setting.default
    if default is msgspec.NODEFAULT:
        shown = "must be given"
    elif default in (None, {}):
        shown = ""
    else:
        shown = f"`{default:g}`" if isinstance(default, float) else f"`{default}`"
    given = get_args(setting.type)[0]
    if get_origin(given) is Literal:  # in the order in which they were written
        kind = " or ".join(f"`{value}`" for value in get_args(given))
    else:
        kind = _kind(inspect.type_info(setting.type))
    return f"`{setting.name}`", kind, shown, setting.description


def _kind(info: inspect.Type) -> str:
    """Return a type, and its bounds, in words."""
    match info:
        case inspect.Metadata():
            return _kind(info.type)
        case inspect.UnionType():
            [given] = [one for one in info.types if not isinstance(one, inspect.NoneType)]
            return _kind(given)
        case inspect.IntType() | inspect.FloatType():
            word = "whole number" if isinstance(info, inspect.IntType) else "number"
            return f"{word}{_bounds(info.ge, info.le)}"
        case inspect.ListType():
            return f"list of {_kind(info.item_type)}s"
        case inspect.DictType():
            return f"table of {_kind(info.value_type)}s"
        case _:
            return "text"


def _bounds(low: Any, high: Any) -> str:
    if high is not None:
        return f", {low:g} to {high:,g}" if isinstance(high, float) else f", {low} to {high:,}"
    return "" if low is None else f", {low:g} or more"


if __name__ == "__main__":
    print(table(Settings))
    for name, kind in PROVIDERS.items():
        print(f"provider = {name}\n\n{table(kind)}")
