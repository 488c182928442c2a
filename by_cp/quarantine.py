"""What could not be read and was set aside: looked at, put back where it stood, or dropped."""

from __future__ import annotations

from by_cp.errors import InvalidInput
from by_cp.log.contract import Quarantined, Store
from by_cp.names import check_int
from by_cp.statemachine.position import BEGINNING, split

LIMIT_MAX = 1_000_000


class Quarantine:
    """What was set aside. `ControlPlane` has one.

    Args:
        store: the log.

    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def list(self, limit: int = 100, after: str = BEGINNING) -> list[Quarantined]:
        """Return what was set aside, the oldest first, after an entry.

        Raises:
            InvalidInput: the limit or the entry's id is none.

        """
        check_int("limit", limit, low=1, high=LIMIT_MAX)
        _check_id(after)
        return await self._store.quarantined(after, limit)

    async def show(self, entry_id: str) -> Quarantined:
        """Return one entry.

        Raises:
            InvalidInput: there is none of this id (any more).

        """
        milliseconds, sequence = _check_id(entry_id)
        # An entry's neighbour: ids are whole numbers, so nothing stands between the two.
        before = f"{milliseconds}-{sequence - 1}" if sequence else f"{milliseconds - 1}-{2**64 - 1}"
        found = await self._store.quarantined(before if milliseconds else BEGINNING, 1)
        if not found or found[0].entry_id != entry_id:
            raise InvalidInput(f"nothing is set aside under {entry_id!r} (any more)")
        return found[0]

    async def reinject(self, entry: Quarantined, data: str = "") -> bool:
        """Put an entry back where it stood, with other data if given; False: it was gone."""
        return await self._store.reinject(entry, data)

    async def drop(self, entry: Quarantined) -> bool:
        """Remove an entry for good; False: it was gone."""
        return await self._store.drop_quarantined(entry)


def _check_id(entry_id: str) -> tuple[int, int]:
    try:
        milliseconds, sequence = split(entry_id)
    except ValueError as error:
        raise InvalidInput(f"{entry_id!r} is no id of an entry, such as 1700000000000-0") from error
    return milliseconds, sequence
