"""Every Redis key that by-cp touches, and nothing else.

Theory: a key is unambiguous because each name stands last in it, or is quoted. by-framework's keys
keep by-framework's spelling and by-framework's method names. All keys of by-cp's own stand below
`byai_gateway:control_plane:` beside the specified ones.

by-framework has two spellings, schema v1 and, in its newer releases, v2; which of them a process
uses is told by its environment, as by-framework is told. It is read once, when this is imported: no
process sees both.
"""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Mapping
from functools import lru_cache

from by_cp.errors import InvalidInput

SCHEMA_VARIABLE = "REDIS_KEY_SCHEMA_VERSION"
"""The environment variable that names the schema."""


def schema_of(environment: Mapping[str, str]) -> str:
    """Return the schema, v1 or v2, that an environment asks for: v1, or v2 if it has a cluster.

    Raises:
        InvalidInput: it asks for another one.

    """
    cluster = environment.get("REDIS_CLUSTER_HOST")
    schema = environment.get(SCHEMA_VARIABLE, "v2" if cluster else "v1")
    if schema not in ("v1", "v2"):
        raise InvalidInput(f"{SCHEMA_VARIABLE} must be v1 or v2, not {schema!r}")
    return schema


SCHEMA = schema_of(os.environ)
ROOT = "byai_gateway:v2:" if SCHEMA == "v2" else "byai_gateway:"
"""What all keys begin with."""

PREFIX = f"{ROOT}control_plane:"
"""What the control plane's keys begin with."""


def _either(v1: str, v2: str) -> str:
    return ROOT + (v2 if SCHEMA == "v2" else v1)


def quote(part: str) -> str:
    """Make `part` safe to stand in the middle of a key: no two parts quote alike.

    Only `%`, `:` and the braces (a cluster's hash tags) are escaped, as in RFC 3986; an empty part
    is by-framework's `_`, and so a literal `_` becomes `%5F`.
    """
    if part in ("", "_"):
        return "_" if not part else "%5F"
    for character in "%:{}":
        part = part.replace(character, f"%{ord(character):02X}")
    return part


def unquote(quoted: str) -> str:
    """Return the part that `quote` made safe."""
    return "" if quoted == "_" else urllib.parse.unquote(quoted)


class RedisKeys:
    """The keys, as static methods, under the names that by-framework gives them."""

    CONTROL_PLANE_PREFIX = PREFIX.rstrip(":")

    # --- by-framework's own: control streams, registry, session -----------------------------------

    @staticmethod
    def ctrl_stream(agent_type: str) -> str:
        """Stream of commands that any worker of the agent type may take."""
        return f"{ROOT}ctrl:agent_type:{agent_type}"

    @staticmethod
    def worker_ctrl_stream(worker_id: str) -> str:
        """Stream of commands for one worker."""
        return _either(f"ctrl:worker:{worker_id}", f"ctrl:worker:{{{worker_id}}}")

    @staticmethod
    def session_data_stream(session_id: str) -> str:
        """Stream into which workers put what they answer in a session."""
        return _either(f"session:{session_id}:data_stream", f"session:{{{session_id}}}:data_stream")

    @staticmethod
    def session_registry(session_id: str) -> str:
        """Hash: a session's executions, as `exec:{execution_id}` and `msg_map:{message_id}`."""
        return _either(f"session:{session_id}:registry", f"session:{{{session_id}}}:registry")

    KNOWN_WORKERS = f"{ROOT}registry:workers"

    @staticmethod
    def agent_type_members(agent_type: str) -> str:
        """Set of worker ids that registered for the agent type, dead ones included."""
        return _either(
            f"registry:agent_type:workers:{agent_type}",
            f"registry:agent_type:{{{agent_type}}}:workers",
        )

    @staticmethod
    def worker_declared_agent_types(worker_id: str) -> str:
        """Set of agent types that the worker serves."""
        return _either(
            f"registry:worker:agent_types:{worker_id}",
            f"registry:worker:{{{worker_id}}}:agent_types",
        )

    @staticmethod
    def worker_online_lease(worker_id: str) -> str:
        """Lease (string with a time to live) that a living worker renews."""
        return _either(
            f"registry:worker:online:{worker_id}", f"registry:worker:{{{worker_id}}}:online"
        )

    # --- the control plane's, as specified --------------------------------------------------------

    @staticmethod
    def control_plane_wakeup_stream() -> str:
        """Stream of WakeupRequest for the manager."""
        return f"{PREFIX}mgmt:wakeup"

    @staticmethod
    def control_plane_wakeup_result_stream(execution_id: str) -> str:
        """Stream of WakeupDecision for one execution; expires."""
        return f"{PREFIX}mgmt:wakeup:result:{execution_id}"

    @staticmethod
    def control_plane_delivery_pending_stream() -> str:
        """Stream of PendingDelivery: the commands that are held."""
        return f"{PREFIX}mgmt:delivery:pending"

    @staticmethod
    def control_plane_deadletter_stream() -> str:
        """Stream of commands that could not be delivered, payload included."""
        return f"{PREFIX}mgmt:deadletter"

    @staticmethod
    def control_plane_agent_availability(agent_type: str) -> str:
        """Row of the availability view: how the agent type's last wake stands."""
        return f"{PREFIX}availability:agent_type:{agent_type}"

    @staticmethod
    def control_plane_agent_circuit(agent_type: str) -> str:
        """Circuit in by-framework's JSON, `{"state":"OPEN","reason":…}`; anyone may write it."""
        return f"{PREFIX}circuit:agent_type:{agent_type}"

    @staticmethod
    def control_plane_agent_fallback(agent_type: str) -> str:
        """Fallback in by-framework's JSON, `{"selected_agent_type":…}`; anyone may write it."""
        return f"{PREFIX}fallback:agent_type:{agent_type}"

    @staticmethod
    def control_plane_tenant_quota(user_code: str) -> str:
        """Quota in by-framework's JSON, `{"available":false,"reason":…}`; anyone may write it."""
        return f"{PREFIX}quota:tenant:{user_code}"

    @staticmethod
    def control_plane_user_quota(user_code: str) -> str:
        """The name under which by-framework 0.2 itself reads a quota."""
        return f"{PREFIX}quota:user:{user_code}"

    @staticmethod
    def control_plane_wakeup_dedupe(agent_type: str, user_code: str, region: str) -> str:
        """Claim of one wake: holds the execution_id of the wake group's leader; expires."""
        return f"{PREFIX}wakeup:dedupe:{wake_group(agent_type, user_code, region)}"

    # --- by-cp's own ------------------------------------------------------------------------------

    @staticmethod
    def log() -> str:
        """Stream of events: the truth."""
        return f"{PREFIX}log"

    @staticmethod
    def log_restoring() -> str:
        """Stream that a restore fills, and that becomes the log when it is whole."""
        return f"{PREFIX}log:restoring"

    @staticmethod
    def head(execution_id: str) -> str:
        """Hash: one execution's state, version and positions; expires once it is settled."""
        return f"{PREFIX}head:{execution_id}"

    @staticmethod
    def call(call_id: str) -> str:
        """Answer already given to a call, for the client that sends it twice; expires."""
        return f"{PREFIX}call:{call_id}"

    @staticmethod
    def inbox(inbox_id: str) -> str:
        """Stream of outcomes for the waiting callers of one process; expires."""
        return f"{PREFIX}inbox:{inbox_id}"

    @staticmethod
    def wake(group: str) -> str:
        """Hash: the claim of a wake group: wake, leader, until, epoch of its latest attempt."""
        return f"{PREFIX}wakeup:group:{group}"

    @staticmethod
    def wake_members(group: str) -> str:
        """Sorted set: who waits for a wake, by priority, then by age."""
        return f"{PREFIX}wakeup:members:{group}"

    @staticmethod
    def pending_index(agent_type: str) -> str:
        """Sorted set: what is held for an agent type, by priority, fair rank, then age."""
        return f"{PREFIX}pending:agent_type:{agent_type}"

    @staticmethod
    def pending_depth() -> str:
        """Hash: how many commands are held for each agent type."""
        return f"{PREFIX}pending:depth"

    @staticmethod
    def deadlines() -> str:
        """Sorted set: held executions by the time, in ms, at which they expire."""
        return f"{PREFIX}deadlines"

    @staticmethod
    def delayed() -> str:
        """Sorted set: held executions that may not be delivered yet, by the time, in ms."""
        return f"{PREFIX}pending:delayed"

    @staticmethod
    def fair(agent_type: str) -> str:
        """Hash: virtual times of the fair queue of what is held for an agent type."""
        return f"{PREFIX}pending:fair:{agent_type}"

    @staticmethod
    def leases(user_code: str) -> str:
        """Sorted set: what a tenant has in flight, by when, in ms, its lease lapses."""
        return f"{PREFIX}quota:leases:{user_code}"

    @staticmethod
    def manager(consumer: str) -> str:
        """Lease (string with a time to live) that a living manager renews."""
        return f"{PREFIX}manager:{consumer}"

    @staticmethod
    def managers() -> str:
        """Sorted set: managers that live or lately did, by when, in ms, their lease lapses."""
        return f"{PREFIX}managers"

    @staticmethod
    def online(agent_type: str) -> str:
        """Sorted set: workers of the agent type last seen online; a cache of their leases."""
        return f"{PREFIX}online:agent_type:{agent_type}"

    @staticmethod
    def decisions() -> str:
        """Stream of WakeupDecision that providers answer later, from outside of any manager."""
        return f"{PREFIX}mgmt:decision"

    @staticmethod
    def quarantine() -> str:
        """Stream of entries that could not be read, with the reason."""
        return f"{PREFIX}mgmt:quarantine"

    @staticmethod
    def scan(agent_type: str) -> str:
        """How many workers a full look at an agent type's leases met none of; expires."""
        return f"{PREFIX}online:scan:{agent_type}"

    @staticmethod
    def view_circuit(agent_type: str) -> str:
        """Hash: the rows of the circuit, agent and policy views, for admission to read as one."""
        return f"{PREFIX}view:circuit:{agent_type}"

    @staticmethod
    def view_quota(user_code: str) -> str:
        """Hash: row of the quota view."""
        return f"{PREFIX}view:quota:{user_code}"

    @staticmethod
    def view_fallback(agent_type: str) -> str:
        """Hash: row of the fallback view."""
        return f"{PREFIX}view:fallback:{agent_type}"

    @staticmethod
    def dead_letter_index() -> str:
        """Hash: execution_id of each dead letter, and its entry in the dead letter stream."""
        return f"{PREFIX}deadletter:index"


@lru_cache(maxsize=4096)
def wake_group(agent_type: str, user_code: str, region: str) -> str:
    """Name of the group of executions that one wake serves: the three parts, quoted."""
    return ":".join(quote(part) for part in (agent_type, user_code, region))
