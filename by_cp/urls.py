"""URLs of servers: where one is looked for, and how one may be shown."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from by_cp.errors import InvalidInput

URL_DEFAULT: Final = "redis://localhost:6379/0"
URL_VARIABLE: Final = "BY_CP_URL"
"""Environment variable with the server's URL, for those who are given none."""


def without_password(url: str) -> str:
    """Return a URL as it may be shown: its password, wherever it stands, is `***`."""
    try:
        parts = urlsplit(url)
        netloc, query = parts.netloc, parts.query
        if parts.password is not None:
            host = netloc.rpartition("@")[2]
            netloc = f"{parts.username or ''}:***@{host}"
        if "password" in query:
            hidden = [(k, "***" if k == "password" else v) for k, v in parse_qsl(query)]
            query = urlencode(hidden, safe="*")
        if (netloc, query) == (parts.netloc, parts.query):
            return url
        return urlunsplit(parts._replace(netloc=netloc, query=query))
    except ValueError:  # no URL; what stands before an @ may be a password all the same
        _, at, after = url.rpartition("@")
        return f"***@{after}" if at else url


def check_url(url: str) -> None:
    """Refuse what redis-py would take for something else, in silence.

    Raises:
        ValueError: the database is no number, or the port is 0.

    """
    parts = urlsplit(url)
    database = parts.path.strip("/")
    if parts.scheme in ("redis", "rediss") and database and not database.isdigit():
        raise ValueError(f"the database must be a number, not {database!r}")
    if parts.port == 0:
        raise ValueError("the port must not be 0")


def invalid_url(url: str, error: Exception) -> InvalidInput:
    """Return the error for what is no URL of a server."""
    return InvalidInput(
        f"{without_password(url)!r} is no URL of a server, such as {URL_DEFAULT}, "
        f"rediss://… or unix:///path ({error})"
    )
