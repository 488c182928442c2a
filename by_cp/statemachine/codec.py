"""Bytes of the log to events and back.

A codec reads every schema version it was given: the current classes, and older ones that it lifts
to the current by their upcasters, one version at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Union

import msgspec

from by_cp.errors import CorruptEvent
from by_cp.statemachine.events import EVENTS, Event, tag_of
from by_cp.statemachine.upcast import UPCASTERS

Upcaster = Callable[[Any], Event]


class Codec:
    """Encodes and decodes events of a set of classes, the older of which have upcasters."""

    def __init__(
        self, current: tuple[type[Event], ...], upcasters: Mapping[type[Event], Upcaster]
    ) -> None:
        self._upcasters = dict(upcasters)
        known = tuple(current) + tuple(upcasters)
        self._tags = frozenset(tag_of(event_type) for event_type in known)
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(Union[known])  # noqa: UP007 - built at run time

    def encode(self, event: Event) -> bytes:
        """Encode one event as the log holds it."""
        return self._encoder.encode(event)

    def decode(self, data: bytes) -> Event:
        """Decode one event, whatever the schema version it was written in.

        Raises:
            CorruptEvent: the bytes are no event, or one of a version that this release does not
                know.

        """
        try:
            event: Event = self._decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CorruptEvent(self._diagnosis(data, error)) from error
        return self._upcast(event)

    def decode_all(self, data: Iterable[bytes]) -> list[Event]:
        """Decode events, in order: faster than one by one, for whoever reads a whole log.

        Raises:
            CorruptEvent: as `decode`, for the first that cannot be read.

        """
        data = list(data)
        try:
            events: list[Event] = list(map(self._decoder.decode, data))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return list(map(self.decode, data))  # says which one, and why
        if self._upcasters.keys().isdisjoint(map(type, events)):
            return events
        return list(map(self._upcast, events))

    def _upcast(self, event: Event) -> Event:
        upcaster = self._upcasters.get(type(event))
        while upcaster is not None:
            event = upcaster(event)
            upcaster = self._upcasters.get(type(event))
        return event

    def _diagnosis(self, data: bytes, error: Exception) -> str:
        try:
            raw = msgspec.msgpack.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return f"a log entry of {len(data)} bytes is damaged: {error}"
        tag = raw[0] if isinstance(raw, list) and raw else None
        if isinstance(tag, str) and tag not in self._tags:
            return f"this by-cp does not know events of kind {tag!r}: upgrade it"
        return f"a log entry of kind {tag!r} does not fit its schema: {error}"


CODEC = Codec(EVENTS, UPCASTERS)
"""The codec of this release."""
