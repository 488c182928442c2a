"""What senders put together: commands, their headers, BaiYing messages, and what they are told.

The names and the wire form are by-framework's, so that changing an import is enough.
"""

from by_cp.protocol.byai import (
    BaiYingMessage,
    BaiYingMessageRole,
    ByaiContent,
    ByaiContentCodec,
    ContentCodec,
    MessageContent,
    MessageFile,
    Resource,
    WireContent,
    deserialize_byai_content,
    serialize_byai_content,
)
from by_cp.protocol.commands import (
    ActionType,
    AskAgentCommand,
    ResumeCommand,
    command_from_dict,
    command_of,
)
from by_cp.protocol.header import MessageHeader
from by_cp.protocol.responses import ExecutionStatus, SendMessageResponse

__all__ = [
    "ActionType",
    "AskAgentCommand",
    "BaiYingMessage",
    "BaiYingMessageRole",
    "ByaiContent",
    "ByaiContentCodec",
    "ContentCodec",
    "ExecutionStatus",
    "MessageContent",
    "MessageFile",
    "MessageHeader",
    "Resource",
    "ResumeCommand",
    "SendMessageResponse",
    "WireContent",
    "command_from_dict",
    "command_of",
    "deserialize_byai_content",
    "serialize_byai_content",
]
