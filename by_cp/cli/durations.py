"""Durations on the command line: `30s`, `1h30m`; shown as people say them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

from cyclopts import Parameter, Token

from by_cp.replay.durations import lasting

_UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")


class Duration(timedelta):
    """A duration, under the name that the help shows."""

    @classmethod
    def of(cls, text: str) -> Duration:
        """Return the duration that a text names.

        Raises:
            ValueError: it names none.

        """
        if not re.fullmatch(rf"(?:{_PART.pattern})+", text):
            raise ValueError(f"{text!r} is no duration, such as 500ms, 30s, 10m, 1h30m or 7d")
        seconds = sum(float(number) * _UNITS_S[unit] for number, unit in _PART.findall(text))
        try:
            return cls(seconds=seconds)
        except OverflowError as error:
            raise ValueError(f"{text!r} is too long") from error

    def __str__(self) -> str:
        """Return it as people say it."""
        return lasting(self.ms)

    @property
    def ms(self) -> int:
        """It, in milliseconds."""
        return round(self.total_seconds() * 1000)


def _read(_type: type, tokens: Sequence[Token]) -> Duration:
    return Duration.of(tokens[0].value)


Lasting = Annotated[Duration, Parameter(converter=_read, n_tokens=1, show_default=str)]
"""A flag's duration."""

LastingOrNone = Annotated[Duration | None, Parameter(converter=_read, n_tokens=1)]
"""That of a flag that may be left out."""
