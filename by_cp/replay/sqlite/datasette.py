"""What Datasette shows of an export beside its rows: titles, what columns mean, ready questions."""

from __future__ import annotations

from typing import Any

FAILED = """\
select execution_id, agent_type, state, code, reason, decided_by, begun_at, last_at
from executions
where user_code = :user_code
  and state in ('REJECTED', 'DEADLETTER')
  and last_at >= date(:today, '-1 day')
  and last_at < date(:today)
order by last_at"""
"""Which executions of a tenant failed the day before, and why."""

WHY = """\
select code, reason, count(*) as executions, min(begun_at) as first, max(last_at) as last
from executions
where state in ('REJECTED', 'DEADLETTER')
group by code, reason
order by executions desc"""

SLOW = """\
select agent_type, count(*) as executions, cast(avg(took_ms) as integer) as average_ms,
  max(took_ms) as longest_ms
from executions
where state = 'DELIVERED'
group by agent_type
order by average_ms desc"""

HISTORY = """\
select number, time, event, before, after, reason, decided_by, position, detail
from events
where execution_id = :execution_id
order by number"""

SEARCH = """\
select events.time, events.execution_id, events.event, events.reason
from events_fts
join events on events.number = events_fts.rowid
where events_fts match :words
order by events.number desc
limit 200"""

QUERIES = {
    "failed": ("Which executions of a tenant failed the day before, and why", FAILED),
    "why": ("Why executions fail, the most frequent reason first", WHY),
    "slow": ("How long deliveries take, by agent type", SLOW),
    "history": ("What happened to one execution", HISTORY),
    "search": ("Events whose reason has these words", SEARCH),
}

_COLUMNS = {
    "events": {
        "number": "Its place in the log, from 1 on",
        "position": "Its id in the log: milliseconds since 1970, and a sequence number",
        "execution_id": "Empty: a system event",
        "version": "1 for an execution's first event, 2 for its second, and so on",
        "before": "The execution's state before it",
        "after": "The execution's state after it",
        "decided_by": "Who decided",
        "cause": "The call that caused it; all events of one call share it",
        "detail": "The event's own fields",
    },
    "executions": {
        "begun_at": "When it was requested, UTC",
        "last_at": "When its last event was appended, UTC",
        "code": "Why it was rejected",
        "reason": "Why it ended badly",
        "delivered_to": "The agent type that got the command: the one asked for, or its fallback",
        "held_at": "Position of the event since which its command is held",
        "epoch": "The wake that it waits for",
    },
}


def metadata(database: str) -> dict[str, Any]:
    """Return Datasette's metadata for an export; `database` is the file's name without suffix."""
    return {
        "title": "by-cp",
        "description": "What became of calls to agents, and why.",
        "databases": {
            database: {
                "tables": {
                    "events": {
                        "description": "The log",
                        "sort": "number",
                        "size": 50,
                        "columns": _COLUMNS["events"],
                        "facets": ["event", "after"],
                    },
                    "executions": {
                        "description": "One row for each execution, as the log leaves it",
                        "label_column": "execution_id",
                        "sort_desc": "begun_at",
                        "columns": _COLUMNS["executions"],
                        "facets": ["state", "agent_type", "user_code"],
                    },
                    "export": {"hidden": True},
                },
                "queries": {
                    name: {"title": title, "sql": sql} for name, (title, sql) in QUERIES.items()
                },
            }
        },
    }
