"""The codec: events to bytes and back, whatever the schema version they were written in."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from by_cp.errors import CorruptEvent
from by_cp.statemachine.codec import CODEC, Codec
from by_cp.statemachine.events import EVENTS, Delivered, Event, Redriven, SystemEvent, tag_of
from by_cp.statemachine.upcast import UPCASTERS
from by_cp.testing import strategies


@given(strategies.events())
def test_every_event_survives_the_log(event: Event) -> None:
    """What is written is what is read."""
    assert CODEC.decode(CODEC.encode(event)) == event


@given(strategies.events())
def test_an_entry_is_one_flat_array_that_begins_with_its_tag(event: Event) -> None:
    """Whoever reads the log without by-cp finds the event's name and schema version first."""
    raw = msgspec.msgpack.decode(CODEC.encode(event))
    assert raw[0] == tag_of(type(event))
    assert len(raw) == 1 + len(event.__struct_fields__)


def test_tags_say_the_name_and_the_schema_version() -> None:
    """No two classes share a tag, and each has a version to count up from."""
    tags = [tag_of(event_type) for event_type in (*EVENTS, *UPCASTERS)]
    assert len(set(tags)) == len(tags)
    for event_type in EVENTS:
        name, _, version = tag_of(event_type).partition("/")
        assert name == event_type.__name__
        assert int(version) >= 1


def test_an_event_of_a_newer_release_asks_for_an_upgrade() -> None:
    """The error names the kind that is not known here."""
    data = msgspec.msgpack.encode(["Delivered/9", "exec-1", 1, "", "chat", "drone"])
    with pytest.raises(CorruptEvent, match=r"'Delivered/9': upgrade"):
        CODEC.decode(data)


def test_an_event_with_a_wrong_field_is_named() -> None:
    """A known kind with contents that are none says which kind it is."""
    data = msgspec.msgpack.encode(["Delivered/1", "exec-1", "one", "", "chat"])
    with pytest.raises(CorruptEvent, match=r"'Delivered/1' does not fit its schema"):
        CODEC.decode(data)


@given(strategies.events(), st.data())
def test_an_entry_that_is_cut_short_is_corrupt(event: Event, data: st.DataObject) -> None:
    """No half of an event passes for a whole one."""
    whole = CODEC.encode(event)
    size = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(CorruptEvent):
        CODEC.decode(whole[:size])


@given(st.binary(max_size=60) | st.builds(bytes.__add__, st.just(b"\x95"), st.binary()))
def test_rubbish_is_corrupt_and_nothing_worse(data: bytes) -> None:
    """Whatever the bytes, the reader gets an event or the one error that it can handle."""
    try:
        event = CODEC.decode(data)
    except CorruptEvent:
        return
    assert isinstance(event, EVENTS)


# --- How a schema changes -------------------------------------------------------------------------


class FirstPainted(SystemEvent, array_like=True, gc=False, frozen=True, tag="Painted/1"):
    """As it was at first: one colour, in English."""

    colour: str


class SecondPainted(SystemEvent, array_like=True, gc=False, frozen=True, tag="Painted/2"):
    """As it was then: in hex, and with a number of coats."""

    rgb: str
    coats: int


class Painted(SystemEvent, array_like=True, gc=False, frozen=True, tag="Painted/3"):
    """As it is now: the coats come first."""

    coats: int
    rgb: str
    by: str = ""


def first_to_second(event: FirstPainted) -> SecondPainted:
    """One coat was all there was."""
    return SecondPainted(event.cause, {"red": "ff0000"}[event.colour], coats=1)


def second_to_third(event: SecondPainted) -> Painted:
    """Nobody noted who did it."""
    return Painted(event.cause, event.coats, event.rgb)


PAINTING = Codec((Painted,), {FirstPainted: first_to_second, SecondPainted: second_to_third})


def test_old_events_are_lifted_one_version_at_a_time() -> None:
    """Each upcaster knows only its own step; the codec climbs them all."""
    written_long_ago = msgspec.msgpack.encode(["Painted/1", "call-1", "red"])
    assert PAINTING.decode(written_long_ago) == Painted("call-1", 1, "ff0000")


def test_many_events_are_decoded_like_each_of_them() -> None:
    """Whatever versions are among them, and the first that cannot be read says why."""
    written = [
        msgspec.msgpack.encode(["Painted/3", "call-1", 2, "00ff00"]),
        msgspec.msgpack.encode(["Painted/1", "call-2", "red"]),
        msgspec.msgpack.encode(["Painted/2", "call-3", "0000ff", 4]),
    ]
    assert PAINTING.decode_all(written) == [PAINTING.decode(data) for data in written]
    assert PAINTING.decode_all(written[:1]) == [PAINTING.decode(written[0])]
    with pytest.raises(CorruptEvent, match="'Painted/9': upgrade"):
        PAINTING.decode_all([*written, msgspec.msgpack.encode(["Painted/9", "call-1"])])


def test_a_new_last_field_with_a_default_needs_no_new_version() -> None:
    """The entry that was written without it reads as if it had the default."""
    written_before = msgspec.msgpack.encode(["Painted/3", "call-1", 2, "00ff00"])
    assert PAINTING.decode(written_before) == Painted("call-1", 2, "00ff00", by="")


def test_a_last_field_that_only_newer_releases_know_is_passed_over() -> None:
    """While releases run side by side, the older one reads what the newer one writes."""
    written_later = msgspec.msgpack.encode(["Redriven/1", "exec-1", 9, "call-1", "me", "why"])
    assert CODEC.decode(written_later) == Redriven("exec-1", 9, "call-1", "me")


def test_old_versions_are_read_and_never_written() -> None:
    """Whatever comes out of the codec is of the current classes."""
    assert set(EVENTS).isdisjoint(UPCASTERS)
    assert Delivered in EVENTS
