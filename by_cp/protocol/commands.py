"""The commands that callers send: ask an agent something, or let it go on.

Field for field by-framework's. Whoever handles a command finds `wait_for_reply`, `status` and
`reply_data` in its body and everything else of the sender's `extra_payload` beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Self

from by_cp.errors import InvalidInput
from by_cp.protocol.header import MessageHeader


class ActionType(StrEnum):
    """What a command asks for."""

    ASK_AGENT = "ASK_AGENT"
    RESUME = "RESUME"


def _is_empty(content: object) -> bool:
    if isinstance(content, str):
        return not content.strip()
    return content is None or (isinstance(content, (list, tuple)) and not content)


@dataclass
class _Command:
    """A command: a header, and a body that depends on the action."""

    action_type: ClassVar[ActionType]
    header: MessageHeader

    def body(self) -> dict[str, Any]:
        """Return the body as it stands in the JSON."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Return the command as it stands in a control stream, before it is encoded."""
        return {
            "action_type": self.action_type.value,
            "header": self.header.to_dict(),
            "body": self.body(),
        }


@dataclass
class AskAgentCommand(_Command):
    """Ask an agent something.

    Raises:
        InvalidInput: the content is empty, or nothing but white space.

    """

    action_type = ActionType.ASK_AGENT

    content: str | list[dict[str, Any]]
    wait_for_reply: bool = False
    """The asker is suspended, and resumed with the answer."""
    extra_payload: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the content."""
        if _is_empty(self.content):
            raise InvalidInput("content must not be empty")

    def body(self) -> dict[str, Any]:
        """Return the body as it stands in the JSON."""
        body = {"content": self.content, "wait_for_reply": self.wait_for_reply}
        return body | _extra(self.extra_payload)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a command.

        Raises:
            InvalidInput: it is none.

        """
        body = _object(data, "body")
        return cls(
            header=MessageHeader.from_dict(_object(data, "header")),
            content=body.get("content", ""),
            wait_for_reply=bool(body.get("wait_for_reply", False)),
            extra_payload=dict(_object(body, "extra_payload")),
        )


@dataclass
class ResumeCommand(_Command):
    """Let a suspended agent go on.

    Raises:
        InvalidInput: it has neither a status nor content.

    """

    action_type = ActionType.RESUME

    content: str | list[dict[str, Any]] = ""
    status: str = ""
    """How that came out for which the agent was waiting."""
    reply_data: Any = None
    """Any JSON value, null included."""
    extra_payload: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that it says anything."""
        if not isinstance(self.status, str):
            raise InvalidInput(f"status must be a str, not {self.status!r}")
        if not self.status and _is_empty(self.content):
            raise InvalidInput("a RESUME needs a status or content")

    def body(self) -> dict[str, Any]:
        """Return the body as it stands in the JSON."""
        body = {"content": self.content, "status": self.status, "reply_data": self.reply_data}
        return body | _extra(self.extra_payload)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a command.

        Raises:
            InvalidInput: it is none.

        """
        body = _object(data, "body")
        return cls(
            header=MessageHeader.from_dict(_object(data, "header")),
            content=body.get("content", ""),
            status=body.get("status") or "",
            reply_data=body.get("reply_data"),
            extra_payload=dict(_object(body, "extra_payload")),
        )


def command_of(
    action_type: str, header: MessageHeader, content: Any, extra_payload: Mapping[str, Any]
) -> AskAgentCommand | ResumeCommand:
    """Make the command of an action.

    Those fields of its body that have no argument here (`wait_for_reply`, `status`, `reply_data`)
    come in `extra_payload`, as by-framework's users pass them.

    Raises:
        InvalidInput: there is no such action, or its content is empty.

    """
    extra = dict(extra_payload)
    match action_type:
        case ActionType.ASK_AGENT:
            wait_for_reply = bool(extra.pop("wait_for_reply", False))
            return AskAgentCommand(header, content, wait_for_reply, extra)
        case ActionType.RESUME:
            status = extra.pop("status", None)
            reply_data = extra.pop("reply_data", None)
            return ResumeCommand(
                header,
                "" if content is None else content,
                "" if status is None else status,
                reply_data,
                extra,
            )
        case _:
            valid = ", ".join(ActionType)
            raise InvalidInput(f"action_type must be one of {valid}, not {action_type!r}")


def command_from_dict(data: Mapping[str, Any]) -> AskAgentCommand | ResumeCommand:
    """Read a command of either action.

    Raises:
        InvalidInput: it is none.

    """
    match data.get("action_type"):
        case ActionType.ASK_AGENT:
            return AskAgentCommand.from_dict(data)
        case ActionType.RESUME:
            return ResumeCommand.from_dict(data)
        case other:
            raise InvalidInput(f"no command: its action_type is {other!r}")


def _extra(extra_payload: dict[str, Any]) -> dict[str, Any]:
    return {"extra_payload": extra_payload} if extra_payload else {}


def _object(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key) or {}
    if not isinstance(value, Mapping):
        raise InvalidInput(f"no command: its {key} is {value!r}")
    return value
