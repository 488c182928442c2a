"""URLs of servers: where one is looked for, and how one may be shown."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

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
