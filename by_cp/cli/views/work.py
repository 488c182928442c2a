"""What the commands of `by-cp views` share: the log, the rows, the bars, the words."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Annotated, NamedTuple

from cyclopts import Parameter

from by_cp.adapters import live_rows_at, raw_log_at
from by_cp.cli.progress import progress
from by_cp.cli.running import server_url
from by_cp.log.live import LiveRows
from by_cp.log.rawlog import Pages, RawLog, without_gc
from by_cp.replay.archive.reading import ArchiveReader, WholeLog
from by_cp.replay.drift.checking import Watch
from by_cp.replay.drift.verifying import Difference
from by_cp.replay.drift.words import in_words

SHOWN_MAX = 20
"""So many rows that differ are shown to people; `--json` has all."""

Archive = Annotated[
    Path | None,
    Parameter(help="Directory of the archive that has what was trimmed from the server."),
]


FromSnapshot = Annotated[
    Path | None,
    Parameter(help="A snapshot of this log: what was before it is not folded again."),
]


class Work(NamedTuple):
    """What a command works with."""

    log: Pages
    server: RawLog
    live: LiveRows
    watch: Watch


@contextmanager
def working(url: str | None, archive: Path | None, *, shown: bool) -> Iterator[Work]:
    """Connect, and show bars meanwhile."""
    at = server_url(url)
    with ExitStack() as stack:
        server = stack.enter_context(closing(raw_log_at(at)))
        live = stack.enter_context(closing(live_rows_at(at)))
        log: Pages = server if archive is None else WholeLog(ArchiveReader(archive), server)
        bounds = server.bounds()
        total = bounds.length if bounds is not None and archive is None else None
        stack.enter_context(without_gc())
        fold = stack.enter_context(progress("folding", total, "events", shown=shown))
        yield Work(log, server, live, Watch(folded=fold))


def tell(differences: Iterable[Difference], word: str) -> None:
    """Say on stderr what differs, a line for each row."""
    was = "is" if word == "differs" else "was"
    found = list(differences)
    for one in found[:SHOWN_MAX]:
        print(f"by-cp: {word}: {in_words(one, was=was)}", file=sys.stderr)  # noqa: T201 - it is a command
    if len(found) > SHOWN_MAX:
        more = f"by-cp: and {len(found) - SHOWN_MAX:,} rows more; --json has all"
        print(more, file=sys.stderr)  # noqa: T201 - it is a command
