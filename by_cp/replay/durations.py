"""Times as people say them."""

from __future__ import annotations

from datetime import UTC, datetime

_SECOND_MS, _MINUTE_MS = 1_000, 60_000
_LARGER_UNITS = (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60), ("min", 60, "s", 1))
_SHORT = {"min": "m"}


def lasting(duration_ms: int) -> str:
    """Return a duration as people say it: `12 ms`, `1.25 s`, `2 min 5 s`, `3 h 20 min`, `7 d`."""
    if duration_ms < _SECOND_MS:
        return f"{duration_ms} ms"
    hundredths = round(duration_ms / 10)
    if hundredths < _MINUTE_MS / 10:
        return f"{hundredths / 100:g} s"
    large, unit, small, smaller = _in_two_units(duration_ms)
    return f"{large} {unit}" + (f" {small} {smaller}" if small else "")


def short(duration_ms: int) -> str:
    """Return a duration for a narrow column: as `lasting`, but `2m05s`, `3h20m`, `1d04h`."""
    if duration_ms < _MINUTE_MS - 5:
        return lasting(duration_ms)
    large, unit, small, smaller = _in_two_units(duration_ms)
    unit, smaller = _SHORT.get(unit, unit), _SHORT.get(smaller, smaller)
    return f"{large}{unit}" + (f"{small:02d}{smaller}" if small else "")


def moment(time_ms: int) -> datetime:
    """Return a time of the log, in UTC."""
    return datetime.fromtimestamp(time_ms / 1000, UTC)


def iso(time_ms: int) -> str:
    """Return a time of the log as ISO 8601, in UTC: `2023-11-14T22:13:20.000Z`."""
    return moment(time_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(text: str) -> int:
    """Return a time as `iso` gives it, in ms since 1970."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


class Stamps:
    """Gives times as `iso` does, many in a row: the text of a second is made only once."""

    def __init__(self) -> None:
        self._second = self._time_ms = -1
        self._text = self._stamp = ""

    def __call__(self, time_ms: int) -> str:
        """Return a time of the log as ISO 8601, in UTC."""
        if time_ms != self._time_ms:
            second, milliseconds = divmod(time_ms, _SECOND_MS)
            if second != self._second:
                self._second, self._text = second, iso(second * _SECOND_MS)[:-5]
            self._time_ms, self._stamp = time_ms, f"{self._text}.{milliseconds:03d}Z"
        return self._stamp


def clock(time_ms: int) -> str:
    """Return a time of the log without its day, in UTC: `22:13:20.000`."""
    return moment(time_ms).time().isoformat(timespec="milliseconds")


def _in_two_units(duration_ms: int) -> tuple[int, str, int, str]:
    seconds = round(duration_ms / 1000)
    unit, in_seconds, smaller, in_smaller = next(u for u in _LARGER_UNITS if seconds >= u[1])
    return seconds // in_seconds, unit, seconds % in_seconds // in_smaller, smaller
