"""BaiYing messages: who speaks, what text, with which files and resources.

On the wire a content is a text, or a list of objects; a lone message is a list of one. The fields
are spelled as they stand there.
"""
# ruff: noqa: N815 - the wire's spelling is camelCase

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, Protocol, TypeAlias, TypeVar

from by_cp.errors import InvalidInput

T = TypeVar("T")

WireContent: TypeAlias = str | list[dict[str, Any]]
"""Content as it stands in a command."""


class BaiYingMessageRole(StrEnum):
    """Who speaks."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    TOOL_CALL = "tool-call"
    TOOL_RESPONSE = "tool-response"
    RESPONSE_TO_SUB_AGENT = "response-to-sub-agent"


@dataclass(frozen=True)
class MessageFile:
    """A file that a message carries."""

    fileId: int
    fileUrl: str
    fileType: str
    fileName: str


@dataclass(frozen=True)
class Resource:
    """A resource that a message carries."""

    resourceId: str
    resourceName: str
    resourceType: str
    id: str | None = ""
    path: str | None = ""
    resourceDesc: str | None = ""
    resourceMetaData: dict[str, Any] | None = field(default_factory=dict)


@dataclass(frozen=True)
class MessageContent:
    """A text with files and resources."""

    text: str
    files: list[MessageFile] = field(default_factory=list)
    resources: list[Resource] = field(default_factory=list)


@dataclass(frozen=True)
class BaiYingMessage:
    """One message."""

    role: BaiYingMessageRole
    content: str | MessageContent


ByaiContent: TypeAlias = str | BaiYingMessage | list[BaiYingMessage]
"""What callers pass as content."""


class ContentCodec(Protocol):
    """Makes an application's own content into wire content, and back."""

    def serialize(self, content: Any) -> WireContent:
        """Return the content as it is to stand in a command."""
        ...

    def deserialize(self, content: WireContent) -> Any:
        """Return the application's own content."""
        ...


class ByaiContentCodec:
    """The codec of BaiYing messages."""

    def serialize(self, content: Any) -> WireContent:
        """Return the content as it is to stand in a command."""
        serialized: WireContent = serialize_byai_content(content)
        return serialized

    def deserialize(self, content: WireContent) -> Any:
        """Return the message, the messages or the text."""
        return deserialize_byai_content(content)


def serialize_byai_content(content: Any) -> Any:
    """Return a message or messages as they are to stand in a command.

    Texts, and objects that are in wire form already, are returned as they are.
    """
    if isinstance(content, BaiYingMessage):
        return [_serialize_message(content)]
    if isinstance(content, list):
        return [
            _serialize_message(item) if isinstance(item, BaiYingMessage) else item
            for item in content
        ]
    return content


def deserialize_byai_content(content: Any) -> Any:
    """Return the message, or the list of messages, that a wire content holds.

    Texts, and lists of anything else, are returned as they are.

    Raises:
        InvalidInput: a message has an unknown role, or a field that cannot be read.

    """
    if not isinstance(content, list) or not content or not all(map(_is_message, content)):
        return content
    messages = [_deserialize_message(item) for item in content]
    return messages[0] if len(messages) == 1 else messages


def _serialize_message(message: BaiYingMessage) -> dict[str, Any]:
    content = message.content
    return {
        "role": _role(message.role).value,
        "content": _serialize_content(content) if isinstance(content, MessageContent) else content,
    }


def _serialize_content(content: MessageContent) -> dict[str, Any]:
    return {
        "text": content.text,
        "files": [asdict(file) for file in content.files],
        "resources": [_serialize_resource(resource) for resource in content.resources],
    }


def _serialize_resource(resource: Resource) -> dict[str, Any]:
    """None is allowed by the type, but never written: readers of other languages crash on null."""
    written = asdict(resource)
    for name in ("id", "path", "resourceDesc"):
        written[name] = written[name] or ""
    written["resourceMetaData"] = written["resourceMetaData"] or {}
    return written


def _is_message(item: object) -> bool:
    return isinstance(item, Mapping) and "role" in item and "content" in item


def _deserialize_message(item: Mapping[str, Any]) -> BaiYingMessage:
    role, content = _role(item["role"]), item["content"]
    if not isinstance(content, Mapping):
        return BaiYingMessage(role, content)
    return BaiYingMessage(
        role,
        MessageContent(
            text=content.get("text") or "",
            files=_read_all(MessageFile, content.get("files")),
            resources=_read_all(Resource, content.get("resources")),
        ),
    )


def _role(role: str) -> BaiYingMessageRole:
    try:
        return BaiYingMessageRole(role)
    except ValueError as error:
        raise InvalidInput(f"no BaiYing message: {error}") from error


def _read_all(kind: type[T], items: Any) -> list[T]:
    """Read files or resources; what they have beside our fields is ignored."""
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    try:
        return [
            kind(**{name: item[name] for name in names if name in item}) for item in items or ()
        ]
    except TypeError as error:
        raise InvalidInput(f"no list of {kind.__name__}: {error}") from error
