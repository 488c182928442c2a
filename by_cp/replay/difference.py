"""Two histories side by side: what was asked otherwise, seen otherwise, and done otherwise. Pure.

What always differs is left out: ids, positions, times of day. Two events stand opposite each other
when they are the same step, in the same order; what one history has alone, is shown with its why.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from msgspec import structs

from by_cp.replay.durations import short
from by_cp.replay.history import History, Row, summary
from by_cp.replay.printing import STYLES
from by_cp.replay.terminal import Line, cell_len, padded, wrapped
from by_cp.replay.words import COMMAND, shown
from by_cp.statemachine.events import Call

_IDS = frozenset({"session_id", "trace_id", "message_id"})
_OWN = COMMAND | {
    *("version", "cause", "call", "leader", "wake", "rank", "rate_tat_us"),
    *("until_ms", "deadline_ms", "permit_until_ms", "not_before_ms", "expires_at_ms"),
}
"""Fields that say only which execution it is, and when; the call is compared by itself."""

Differences = dict[str, tuple[Any, Any]]
"""Name -> what it is in the left one and in the right one."""


class Pair(NamedTuple):
    """One step: of both histories, or of one alone."""

    left: Row | None
    right: Row | None
    differences: Differences

    @property
    def row(self) -> Row:
        """The step itself, of whichever history has it."""
        row = self.left or self.right
        assert row is not None  # noqa: S101 - one of them has it
        return row


class Difference(NamedTuple):
    """Two histories, compared."""

    left: History
    right: History
    asked: Differences
    """What was asked otherwise."""
    pairs: list[Pair]

    def as_json(self) -> dict[str, Any]:
        """Return it as an object for JSON."""
        return {
            "left": _ends(self.left),
            "right": _ends(self.right),
            "asked": self.asked,
            "steps": [
                {
                    "event": pair.row.event,
                    "after": pair.row.after,
                    "left": pair.left and pair.left.as_json(),
                    "right": pair.right and pair.right.as_json(),
                    "differences": pair.differences,
                }
                for pair in self.pairs
            ],
        }


def between(left: History, right: History) -> Difference:
    """Compare two histories."""
    asked = _differences(_asked(left.call), _asked(right.call))
    pairs: list[Pair] = []
    matcher = SequenceMatcher(a=_steps(left), b=_steps(right), autojunk=False)
    for what, left_from, left_to, right_from, right_to in matcher.get_opcodes():
        ours, theirs = left.rows[left_from:left_to], right.rows[right_from:right_to]
        if what == "equal":
            pairs += [Pair(*both, _of_rows(*both)) for both in zip(ours, theirs, strict=True)]
        else:
            pairs += [Pair(row, None, {}) for row in ours]
            pairs += [Pair(None, row, {}) for row in theirs]
    return Difference(left, right, asked, pairs)


def _steps(told: History) -> list[tuple[str, str]]:
    return [(row.event, row.after) for row in told.rows]


def _ends(told: History) -> dict[str, Any]:
    return {
        "execution_id": told.execution_id,
        "state": told.state,
        "begun": told.rows[0].time,
        "took_ms": told.took_ms,
    }


def _asked(call: Call | None) -> dict[str, Any]:
    fields = structs.asdict(call) if call else {}
    return {name: value for name, value in fields.items() if name not in _IDS}


def _of_rows(left: Row, right: Row) -> Differences:
    found = _differences(_flat(left.fields), _flat(right.fields))
    if left.event != "WakeRequested":
        found.pop("leads_the_wake", None)
    if left.payload_bytes != right.payload_bytes:
        found["payload_bytes"] = (left.payload_bytes, right.payload_bytes)
    return found


def _flat(fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields without those that always differ; of a wake only whether there is one."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, dict) and name not in _OWN:
            flat |= value
        elif name == "epoch":
            flat["leads_the_wake"] = "no" if value else "yes"
        elif name not in _OWN:
            flat[name] = value
    return flat


def _differences(left: dict[str, Any], right: dict[str, Any]) -> Differences:
    names = dict.fromkeys((*left, *right))
    values = {name: (left.get(name), right.get(name)) for name in names}
    return {name: both for name, both in values.items() if both[0] != both[1]}


# --- For people -----------------------------------------------------------------------------------

_SINCE_WIDTH, _EVENT_WIDTH = 9, 14
_NAME_WIDTH = 18
_INDENT = "      "


def lines(found: Difference, width: int) -> Iterator[Line]:
    """Yield the comparison as lines of at most so many cells."""
    for mark, style, told in (("-", "red", found.left), ("+", "green", found.right)):
        text = f"{shown(told.execution_id)}  {shown(summary(told))}"
        for number, part in enumerate(wrapped(text, width - 2)):
            yield [
                (f"{mark} " if number == 0 else "  ", style),
                (part, "bold" if number == 0 else ""),
            ]
    if found.asked:
        yield []
        yield [("ASKED OTHERWISE", "dim")]
        yield from _differing(found.asked, width)
    yield []
    titles = ("SINCE -".rjust(_SINCE_WIDTH), "SINCE +".rjust(_SINCE_WIDTH))
    yield [("  " + padded("EVENT", _EVENT_WIDTH) + "".join(titles) + "  STATE", "dim")]
    for pair in found.pairs:
        yield from _pair(pair, width)
    if not found.asked and all(p.left and p.right and not p.differences for p in found.pairs):
        yield []
        yield [("the same, but for ids and times", "")]


def _pair(pair: Pair, width: int) -> Iterator[Line]:
    row = pair.row
    mark, style = (" ", "dim") if pair.left and pair.right else ("-", "red")
    if pair.left is None:
        mark, style = "+", "green"
    since = [
        (f"+{short(one.since_ms)}" if one and one.before else "").rjust(_SINCE_WIDTH)
        for one in (pair.left, pair.right)
    ]
    yield [
        (f"{mark} ", style),
        (padded(row.event, _EVENT_WIDTH), "bold"),
        ("".join(since), "dim"),
        (f"  {row.before or 'new'} → ", "dim"),
        (row.after, STYLES.get(row.after, "")),
    ]
    yield from _differing(pair.differences, width)
    if not (pair.left and pair.right):
        for part in wrapped(shown("; ".join((*row.did, *row.why))), width - len(_INDENT)):
            yield [(_INDENT, ""), (part, "")]


def _differing(differences: Differences, width: int) -> Iterator[Line]:
    for name, (left, right) in differences.items():
        words, ours, theirs = name.replace("_", " "), _value(left), _value(right)
        line = [(_INDENT + padded(words, _NAME_WIDTH), ""), (f"  - {ours}", "red")]
        line += [(f"  + {theirs}", "green")]
        if sum(cell_len(text) for text, _ in line) <= width:
            yield line
            continue
        yield line[:1]
        for mark, style, value in (("-", "red", ours), ("+", "green", theirs)):
            for number, part in enumerate(wrapped(value, width - len(_INDENT) - 4)):
                yield [(f"{_INDENT}  {mark if number == 0 else ' '} ", style), (part, style)]


def _value(value: Any) -> str:
    if value in (None, "", -1, (), []):
        return "nothing"
    return shown(str(value))
