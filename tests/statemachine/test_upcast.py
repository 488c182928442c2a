"""Upcasters: what an older release wrote is lifted to the events of today, and means the same."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from by_cp.errors import CorruptEvent, InvalidInput
from by_cp.log.commands import Configure
from by_cp.projections.folding import fold
from by_cp.projections.rows import NO_LIMIT
from by_cp.statemachine.codec import CODEC, Codec
from by_cp.statemachine.events import EVENTS, DepthSet, Event, TenantDepthSet
from by_cp.statemachine.upcast import DepthSet1
from by_cp.testing import strategies
from tests.statemachine.test_histories import HISTORIES, entries_of, lines_of

BEFORE: tuple[type[Event], ...] = (
    DepthSet1,
    *(kind for kind in EVENTS if kind not in {DepthSet, TenantDepthSet}),
)
"""The events as the last release had them that wrote `DepthSet/1`."""

NAMES = st.just("") | strategies.names()


def written(agent_type: str, user_code: str) -> bytes:
    """An entry as that release wrote it."""
    return msgspec.msgpack.encode(["DepthSet/1", "call-1", agent_type, user_code, 7, "ann"])


@pytest.mark.parametrize(
    ("agent_type", "user_code", "now"),
    [
        ("echo", "", DepthSet("call-1", "echo", 7, "ann")),
        ("", "acme", TenantDepthSet("call-1", "acme", 7, "ann")),
        ("echo", "acme", TenantDepthSet("call-1", "acme", 7, "ann")),
        ("", "", DepthSet("call-1", "", 7, "ann")),
    ],
)
def test_a_depth_is_told_of_whom_it_was(agent_type: str, user_code: str, now: Event) -> None:
    """Of an agent type or of a tenant; where both are named, of whom it was in force."""
    assert CODEC.decode(written(agent_type, user_code)) == now


@given(NAMES, NAMES)
def test_an_old_depth_folds_to_what_it_folded_to(agent_type: str, user_code: str) -> None:
    """The release that wrote it looked at the tenant first, and then at the agent type."""
    views = fold([("1-0", CODEC.decode(written(agent_type, user_code)))])
    limits = {name: row.depth_max for name, row in views.quotas.items()}
    limits |= {name: row.depth_max for name, row in views.agents.items()}
    assert limits == {user_code or agent_type: 7}
    assert set(views.quotas) == ({user_code} if user_code else set())


def test_the_same_story_is_read_from_both_versions() -> None:
    """Recorded before the change and after it: other bytes, and no event of them is another."""
    before, after = (path for path in HISTORIES if path.stem in {"schema-4", "schema-5"})
    old, new = lines_of(before), lines_of(after)
    differ = {a["tag"] for a, b in zip(old, new, strict=True) if a["hex"] != b["hex"]}
    assert differ == {"DepthSet/1"}
    assert entries_of(before) == entries_of(after)
    views = (path.with_suffix(".views.json").read_text("utf-8") for path in (before, after))
    assert len(set(views)) == 1


@pytest.mark.parametrize("event", [DepthSet("", "echo", 7), TenantDepthSet("", "acme", NO_LIMIT)])
def test_a_release_before_the_change_asks_for_an_upgrade(event: Event) -> None:
    """It names the kind that it does not know, and does not take it for another."""
    old = Codec(BEFORE, {})
    assert isinstance(old.decode(written("echo", "")), DepthSet1)
    with pytest.raises(CorruptEvent, match=r"kind '\w*DepthSet/\d': upgrade it"):
        old.decode(CODEC.encode(event))


def test_an_old_version_cannot_be_appended() -> None:
    """It is there to be read."""
    with pytest.raises(InvalidInput):
        Configure(event=DepthSet1("", "echo", "", 7))
