"""Circuits, quotas and fallbacks that someone else wrote, in by-framework's JSON.

by-framework itself, or an operator by hand, may write these keys at any time; admission honours
them beside by-cp's own views. What by-cp writes there itself, for by-framework to read, is marked
and not read back: the view is the truth. What does not parse is as if it were not there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from by_cp.vocabulary import SENTENCES, WORKER_NAME_BYTES_MAX

OURS = "by-cp"
"""The value of `by` in documents that by-cp wrote."""

FALLBACK_FIELDS = ("selected_agent_type", "agent_type", "target_agent_type")
"""The first of these that is not empty names the fallback."""


class Foreign(NamedTuple):
    """What someone else wrote at by-framework's keys, and admission obeys."""

    circuits: dict[str, str]
    """Agent type -> why its circuit is open."""
    quotas: dict[str, str]
    """Tenant -> why its quota is used up."""
    fallbacks: dict[str, str]
    """Agent type -> who stands in for it, unless by-cp's own log says who does."""


def understood(documents: Iterable[tuple[str, str, str | None]]) -> Foreign:
    """Return what documents say, each with its kind (circuit, quota or fallback) and whose it is.

    Of several of the same the first that says anything holds.
    """
    found = Foreign({}, {}, {})
    for kind, name, text in documents:
        if kind == "circuit":
            rows, said = found.circuits, circuit_reason(text, SENTENCES["circuit"])
        elif kind == "quota":
            rows, said = found.quotas, quota_reason(text, SENTENCES["quota"])
        else:
            rows, said = found.fallbacks, fallback_name(text)
        if said:
            rows.setdefault(name, said)
    return found


def _document(text: str | None) -> dict[str, Any]:
    if not text:
        return {}
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return document if isinstance(document, dict) and document.get("by") != OURS else {}


def _reason(document: dict[str, Any], otherwise: str) -> str:
    reason = document.get("reason")
    return reason if isinstance(reason, str) and reason else otherwise


def circuit_reason(text: str | None, otherwise: str) -> str | None:
    """Return why a hand-written circuit is open, or None when it is not: only OPEN blocks."""
    document = _document(text)
    state = document.get("state")
    if isinstance(state, str) and state.upper() == "OPEN":
        return _reason(document, otherwise)
    return None


def quota_reason(text: str | None, otherwise: str) -> str | None:
    """Return why a hand-written quota is used up, or None: only a literal `false` blocks."""
    document = _document(text)
    return _reason(document, otherwise) if document.get("available") is False else None


def fallback_name(text: str | None) -> str:
    """Return the agent type that a hand-written fallback names, or ""."""
    document = _document(text)
    for name in (document.get(key) for key in FALLBACK_FIELDS):
        if isinstance(name, str) and name:
            return name if len(name.encode()) <= WORKER_NAME_BYTES_MAX else ""
    return ""
