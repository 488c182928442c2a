"""One execution, as the server has it and as the log says it must be."""

from __future__ import annotations

import math

import msgspec

from by_cp.log.live import Hash
from by_cp.projections.rows import DeadLetterRow, ExecutionRow
from by_cp.projections.views import Views
from by_cp.replay.drift import expected as law

_SCORES = ("index", "delayed", "deadline", "lease", "member")
_NUMBERS = ("deadline_ms", "expires_at_ms", "not_before_ms", "rank", "name_at", "name_size")
_DOCUMENT = ("offset", "entry", "document", "grave")


def compare(
    views: Views, row: ExecutionRow | None, found: Hash, *, expired_too: bool = False
) -> dict[str, tuple[str, str]]:
    """Return the fields that differ: what is expected, what was found.

    A head that is not there is no fault when its execution is settled: it has expired.
    """
    if row is None:
        return {"state": ("", found["state"] or "?")} if _is_there(found) else {}
    if not expired_too and not _is_there(found) and not law.is_open(row):
        return {}
    if not _is_there(found):
        return {"state": (row.state.value, "")}
    expected, seen = law.execution(views, row), _plain(found)
    if seen.get("delayed", "") == expected.get("not_before_ms", "") and not seen.get("index"):
        # Not yet moved from the delayed to the rest: the gate does that, and no event says it.
        seen["index"] = seen.pop("delayed", "") and expected.get("index", "")
    held = law.document(views, row)
    if held is not None:
        expected["command"] = held.command
        seen["command"] = _command(found)
    if isinstance(held, DeadLetterRow):
        expected |= {"reason": held.reason, "dead letter": "listed"}
        listed = found["entry"] and found["grave"] == found["entry"]
        seen |= {"reason": _reason(found), "dead letter": "listed" if listed else ""}
    return law.differing("executions", expected, seen)


def _is_there(found: Hash) -> bool:
    return bool(found["state"] or found["position"])


def _plain(found: Hash) -> Hash:
    seen = {name: text for name, text in found.items() if text and name not in _DOCUMENT}
    for name in _SCORES:
        if name in seen:
            seen[name] = _score(seen[name])
    for name in _NUMBERS:
        if seen.get(name) == "0":
            del seen[name]
    return seen


def _score(text: str) -> str:
    number = float(text)
    return "inf" if math.isinf(number) else str(int(number))


def _command(found: Hash) -> str:
    try:
        offset = int(found["offset"] or 0)
    except ValueError:
        return "?"
    if not offset:
        return ""
    return found["document"].encode()[offset:-1].decode(errors="backslashreplace")


def _reason(found: Hash) -> str:
    try:
        document = msgspec.json.decode(found["document"])
    except msgspec.DecodeError:
        return "?"
    return str(document.get("reason", "")) if isinstance(document, dict) else "?"
