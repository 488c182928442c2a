"""Which keys each command may touch: the order of KEYS, declared once for Python and Lua.

A server-side function is only given keys, it makes none up, with two exceptions: `lua/workers.lua`
(a worker's lease is known only after the set of workers was read) and where a fallback's name is
known only there: its rows and its control stream. They are built from `PREFIXES`
and `SUFFIXES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from by_cp.keys import RedisKeys, wake_group
from by_cp.log.commands import Member

SHARED = ("log", "pending", "depth", "deadlines", "delayed", "dead", "dead_index", "wakeup")
AGENT = (
    *("ctrl", "circuit", "circuit_default", "circuit_doc", "fallback", "fallback_doc"),
    *("index", "fair", "availability", "registry", "online"),
)
EXECUTION_KEYS = (
    *("head", "result", "inbox", "quota", "leases", "quota_doc", "quota_user_doc"),
    *("wake_members", "wake", "dedupe"),
)
GROUP = ("wake", "dedupe")

LAYOUT: dict[str, tuple[str, ...]] = {
    "request": ("session", *SHARED, *AGENT, *EXECUTION_KEYS),
    # FAIL_FAST and SEND_ANYWAY neither hold nor wake: they need fewer, and that is the hot path.
    "request_now": (
        *("session", "log", "head", "quota", "leases", "quota_doc", "quota_user_doc", "ctrl"),
        *("circuit", "circuit_default", "circuit_doc", "fallback", "fallback_doc"),
        *("registry", "online"),
    ),
    "adopt": (*SHARED, *AGENT, *EXECUTION_KEYS),
    "attempt": ("call", *SHARED, *AGENT, *GROUP),
    "settle": ("call", *SHARED, *AGENT, *GROUP),
    "rouse": ("call", *SHARED, *AGENT),
    "mature": ("call", *SHARED, *AGENT),
    "release": ("call", *SHARED, *AGENT),
    "sweep": ("call", *SHARED, *AGENT),
    "give_up": ("call", *SHARED, *AGENT, *EXECUTION_KEYS),
    "cancel": ("call", *SHARED, *AGENT, *EXECUTION_KEYS),
    "redrive": ("call", *SHARED, *AGENT, *EXECUTION_KEYS),
    "append": ("call", *SHARED, *AGENT, *EXECUTION_KEYS),
    "configure": (
        *("call", "log", "circuit", "circuit_doc", "fallback", "fallback_doc"),
        *("quota", "leases", "quota_doc", "quota_user_doc"),
    ),
    "send_to_worker": ("call", "lease", "worker_ctrl"),
    "set_aside": ("call", "stream", "quarantine"),
    "take_over": ("call", "stream", "lease"),
    "finish": ("call", "stream"),
    "requite": ("call", "stream", "quarantine"),
    "inspect_heads": ("log",),
    "inspect": ("log", "pending", "deadlines", "delayed", "dead", "dead_index"),
    "install": (
        *("log", "pending", "deadlines", "delayed", "dead", "dead_index", "ctrl", "index"),
        *("head", "leases", "wake_members"),
    ),
    "install_row": ("log", "row"),
    "install_depth": ("log", "depth"),
    "discard": ("log", "row", "head"),
}
"""Command of the library -> names of its keys, in order; a batch's members follow."""

_NAME = "\0"


def _before(key: Callable[[str], str]) -> str:
    return key(_NAME).partition(_NAME)[0]


def _after(key: Callable[[str], str]) -> str:
    return key(_NAME).partition(_NAME)[2]


MEMBER_KEYS: dict[str, tuple[str, ...]] = {
    "inspect_heads": (),
    "inspect": ("head", "index", "leases", "wake_members"),
}
"""Commands whose members have others than EXECUTION_KEYS."""

PREFIXES = {
    "lease": _before(RedisKeys.worker_online_lease),
    "registry": _before(RedisKeys.agent_type_members),
    "online": RedisKeys.online(""),
    "scan": RedisKeys.scan(""),
    "ctrl": RedisKeys.ctrl_stream(""),
    "view_circuit": RedisKeys.view_circuit(""),
    "view_fallback": RedisKeys.view_fallback(""),
    "fallback_doc": RedisKeys.control_plane_agent_fallback(""),
}
"""What stands before the name in a key that is built on the server."""

SUFFIXES = {
    "lease": _after(RedisKeys.worker_online_lease),
    "registry": _after(RedisKeys.agent_type_members),
}
"""What stands after it, where that is not nothing in every schema."""

_SHARED_KEYS = {
    "log": RedisKeys.log(),
    "pending": RedisKeys.control_plane_delivery_pending_stream(),
    "depth": RedisKeys.pending_depth(),
    "deadlines": RedisKeys.deadlines(),
    "delayed": RedisKeys.delayed(),
    "dead": RedisKeys.control_plane_deadletter_stream(),
    "dead_index": RedisKeys.dead_letter_index(),
    "wakeup": RedisKeys.control_plane_wakeup_stream(),
}


def keys_of_worker(worker_id: str, call_id: str) -> list[str]:
    """Return the KEYS of `send_to_worker`."""
    return [
        RedisKeys.call(call_id),
        RedisKeys.worker_online_lease(worker_id),
        RedisKeys.worker_ctrl_stream(worker_id),
    ]


def keys_of_stream(stream: str, call_id: str, *others: str) -> list[str]:
    """Return the KEYS of a command that is about one stream, and what else it names."""
    return [RedisKeys.call(call_id), stream, *others]


def _execution_keys(member: Member, agent_type: str) -> dict[str, str]:
    user_code = member.user_code
    group = wake_group(agent_type, user_code, member.region)
    return {
        "head": RedisKeys.head(member.execution_id),
        "index": RedisKeys.pending_index(agent_type),
        "result": RedisKeys.control_plane_wakeup_result_stream(member.execution_id),
        "inbox": RedisKeys.inbox(member.inbox),
        "quota": RedisKeys.view_quota(user_code),
        "leases": RedisKeys.leases(user_code),
        "quota_doc": RedisKeys.control_plane_tenant_quota(user_code),
        "quota_user_doc": RedisKeys.control_plane_user_quota(user_code),
        "wake_members": RedisKeys.wake_members(group),
        "wake": RedisKeys.wake(group),
        "dedupe": RedisKeys.control_plane_wakeup_dedupe(agent_type, user_code, member.region),
    }


def keys_of(
    command: str,
    agent_type: str,
    one: Member,
    *,
    call_id: str = "",
    session_id: str = "",
    members: Iterable[Member] = (),
) -> list[str]:
    """Return the KEYS of a call.

    `one` is the execution of a command that is about one; of a settle, it names the group's tenant
    and region.
    """
    known = {
        **_SHARED_KEYS,
        **_execution_keys(one, agent_type),
        "call": RedisKeys.call(call_id),
        "session": RedisKeys.session_registry(session_id),
        "ctrl": RedisKeys.ctrl_stream(agent_type),
        "circuit": RedisKeys.view_circuit(agent_type),
        "circuit_default": RedisKeys.view_circuit(""),
        "circuit_doc": RedisKeys.control_plane_agent_circuit(agent_type),
        "fallback": RedisKeys.view_fallback(agent_type),
        "fallback_doc": RedisKeys.control_plane_agent_fallback(agent_type),
        "index": RedisKeys.pending_index(agent_type),
        "fair": RedisKeys.fair(agent_type),
        "availability": RedisKeys.control_plane_agent_availability(agent_type),
        "registry": RedisKeys.agent_type_members(agent_type),
        "online": RedisKeys.online(agent_type),
    }
    keys = [known[name] for name in LAYOUT[command]]
    for member in members:
        of_member = _execution_keys(member, agent_type)
        keys += [of_member[name] for name in EXECUTION_KEYS]
    return keys


def keys_of_inspected(command: str, members: Iterable[tuple[str, Member]]) -> list[str]:
    """Return the KEYS of an inspection of executions, each with its agent type."""
    keys = [_SHARED_KEYS[name] for name in LAYOUT[command]]
    for agent_type, member in members:
        of_member = _execution_keys(member, agent_type)
        keys += [of_member[name] for name in MEMBER_KEYS[command]]
    return keys


def keys_of_installed(agent_type: str, member: Member) -> list[str]:
    """Return the KEYS of `install`."""
    known = {
        **_SHARED_KEYS,
        **_execution_keys(member, agent_type),
        "ctrl": RedisKeys.ctrl_stream(agent_type),
    }
    return [known[name] for name in LAYOUT["install"]]
