"""Live rows, looked at in the way that a fold can be compared with, and put back.

Every look is one atomic moment of the server, and comes with the log's last position at that
moment: the log folded to there says what the rows must be. That is why nothing that goes on
meanwhile can look like a fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from by_cp.projections.rows import PendingRow
from by_cp.statemachine.events import Call
from by_cp.statemachine.position import Position

Hash = dict[str, str]
"""A live row as the server has it."""

EXECUTION_FIELDS = (
    *("state", "version", "position", "held_at", "charged", "epoch", "joined_at"),
    *("deadline_ms", "expires_at_ms", "not_before_ms", "rank", "name_at", "name_size"),
    *("offset", "entry", "document", "index", "delayed", "deadline", "lease", "member", "grave"),
)
"""What `inspect` finds of an execution, in this order; "" is absent. `offset` is where in its
document the command begins, `entry` the document's place in its stream; the rest, from `index` on,
are the scores of its entries in the sorted sets that admission and the gate read, and its place in
the index of dead letters."""


class Names(NamedTuple):
    """Which rows there are."""

    executions: set[str]
    rows: set[tuple[str, str]]
    """(view, key as the server names it) of all other rows."""
    indexes: set[str]
    """Keys of the sorted sets of held, waiting and leased executions."""


class Expected(NamedTuple):
    """Of whom `inspect` is asked, and under which names it is in the indexes ("": in none)."""

    execution_id: str
    call: Call
    index_entry: str = ""
    member_entry: str = ""


class Stray(NamedTuple):
    """An entry of an index."""

    key: str
    entry: str
    execution_id: str


class Heads(NamedTuple):
    """What one look at the heads of some executions found."""

    execution_ids: Sequence[str]
    position: Position
    """The log's last at that moment."""
    lines: list[bytes]
    """Of each head what a fold says of it; b"" when there is none."""


class Head(NamedTuple):
    """All of one execution's head that is to be put back."""

    execution_id: str
    call: Call
    compared: Position
    """The head's position when it was compared; "" when there was none."""
    fields: Hash
    """None: the head goes."""
    keep_until_ms: int = 0
    """0 is as long as it is not settled."""
    command: str = ""
    reason: str = ""
    lease: str = ""
    """Until when, in ms, it counts as in flight; "0" until it is settled, "" not at all."""
    receipt: bytes = b""
    """What the call that requested it was answered."""
    outcome: bytes = b""
    """What whoever waits for it was told."""


class LiveRows(Protocol):
    """A server's rows."""

    def names(self) -> Names:
        """Return which rows there are. Not one moment: some may come and go meanwhile."""
        ...

    def heads(self, batches: Iterable[Sequence[str]]) -> Iterator[Heads]:
        """Give the heads of executions, each batch in one look, and in order.

        A batch may be looked at while the caller is still busy with the one before.
        """
        ...

    def executions(self, asked: Sequence[Expected]) -> tuple[Position, list[Hash]]:
        """Return the log's last position, and of each execution all that is found of it."""
        ...

    def rows(self, asked: Sequence[tuple[str, str]]) -> tuple[Position, list[Hash], Hash]:
        """Return the log's last position, the rows, and how many are held by agent type."""
        ...

    def entries(self, key: str) -> list[Stray]:
        """Return what is in an index. Not one moment."""
        ...

    def expected_entries(
        self, asked: Expected, held: PendingRow | None, *, charged: bool
    ) -> set[Stray]:
        """Return the entries of indexes that an execution may have."""
        ...

    def present(self, asked: Sequence[Stray]) -> tuple[Position, list[tuple[bool, Position]]]:
        """Return the log's last position, whether each is still there, and its head's position."""
        ...

    def install(self, heads: Sequence[Head]) -> list[bool]:
        """Put heads back, with all that belongs to them; False for those that changed meanwhile."""
        ...

    def install_row(self, view: str, key: str, compared: Hash, fields: Hash) -> bool:
        """Put a row back, or with no fields take it away; False if it changed meanwhile."""
        ...

    def install_depth(self, agent_type: str, change: int) -> None:
        """Correct how many are held for an agent type."""
        ...

    def discard(self, stray: Stray, compared: Position) -> bool:
        """Take an entry out of an index; False if its execution changed meanwhile."""
        ...

    def now_ms(self) -> int:
        """Return the time on the server's clock, in ms since 1970."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


POSITIONS: Mapping[str, tuple[str, ...]] = {
    "circuits": ("p", "mp", "cp"),
    "quotas": ("p",),
    "availability": ("p",),
    "fallbacks": ("p",),
    "wakes": ("p", "z"),
}
"""View -> the fields in which its rows carry the position of what changed them last. One row of the
server holds the circuit, agent and policy views of an agent type. Of a wake that came out, `z` says
until when the row stays."""
