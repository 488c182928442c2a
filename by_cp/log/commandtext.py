"""A worker's command as JSON text, cut where a fallback must write another name.

Only `header.target_agent_type` may ever change after the caller has encoded a command. So the
caller encodes it once, in two halves around that name, and nobody decodes it again: `[]` stays
`[]`, 2**60 stays 2**60, and key order stays as it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from by_cp.errors import InvalidInput


class CommandText(Struct, frozen=True):
    """A command as JSON text, in two halves; `name` is the JSON string between them."""

    before: bytes
    name: bytes
    after: bytes

    @property
    def whole(self) -> bytes:
        """The complete JSON text."""
        return self.before + self.name + self.after

    def addressed(self, agent_type: str) -> str:
        """Return the text, with another target if `agent_type` is not empty."""
        name = json_name(agent_type) if agent_type else self.name
        return (self.before + name + self.after).decode()


def json_name(agent_type: str) -> bytes:
    """Return an agent type as a JSON string, spelled as the server's cjson spells it."""
    return _dumps(agent_type).replace("/", "\\/").encode()


def cut(payload: Mapping[str, Any], agent_type: str) -> CommandText:
    """Encode a command's payload in two halves, addressed to `agent_type`.

    A payload without `header.target_agent_type` gets one, as the last field of its header.

    Raises:
        InvalidInput: the payload is no JSON object (keys that are no str, NaN, bytes, lone
            surrogates, …), or its header is none.

    """
    header = payload.get("header", {})
    if not isinstance(header, Mapping):
        raise InvalidInput(f"the command's header must be an object, not {type(header).__name__}")
    before, after = _halves(header, "target_agent_type")
    outer_before, outer_after = _halves(payload, "header")
    try:
        return CommandText(
            before=(outer_before + before).encode(),
            name=json_name(agent_type),
            after=(after + outer_after).encode(),
        )
    except UnicodeEncodeError as error:
        raise InvalidInput(f"the command cannot be encoded: {error}") from error


def _halves(mapping: Mapping[str, Any], missing: str) -> tuple[str, str]:
    """Encode an object without the value of the key `missing`: what stands before and after it."""
    keys = list(mapping)
    if missing not in mapping:
        keys.append(missing)
    at = keys.index(missing)
    before = ",".join([*(_field(key, mapping[key]) for key in keys[:at]), f'"{missing}":'])
    after = ",".join(["", *(_field(key, mapping[key]) for key in keys[at + 1 :])])
    return "{" + before, after + "}"


def _field(key: object, value: object) -> str:
    if not isinstance(key, str):
        raise InvalidInput(f"a key of the command must be a str, not {key!r}")
    return f"{_dumps(key)}:{_dumps(value)}"


def _dumps(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"the command cannot be encoded as JSON: {error}") from error
