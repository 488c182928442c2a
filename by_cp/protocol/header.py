"""The header of a command: who sends it, to whom, and as part of what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from by_cp.errors import InvalidInput


@dataclass
class MessageHeader:
    """by-framework's header. An absent text is "", absent metadata is {}: nothing is ever null."""

    message_id: str
    session_id: str
    trace_id: str
    source_agent_type: str = ""
    """Who is to get the reply; "" when nobody waits for one."""
    target_agent_type: str = ""
    parent_message_id: str = ""
    task_group_id: str = ""
    user_code: str = ""
    """The tenant."""
    user_name: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the header as it stands in the JSON of a command."""
        return {name: getattr(self, name) for name in _TEXTS} | {"metadata": dict(self.metadata)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a header; unknown keys are ignored, missing ones and null are as if empty.

        Raises:
            InvalidInput: a text is no str, or the metadata no object.

        """
        texts = {name: data.get(name) for name in _TEXTS}
        for name, value in texts.items():
            if not isinstance(value, str | None):
                raise InvalidInput(f"the header's {name} must be a str, not {value!r}")
        metadata = data.get("metadata") or {}
        if not isinstance(metadata, Mapping):
            raise InvalidInput(f"the header's metadata must be an object, not {metadata!r}")
        return cls(**{name: value or "" for name, value in texts.items()}, metadata=dict(metadata))


_TEXTS = tuple(name for name in MessageHeader.__dataclass_fields__ if name != "metadata")
