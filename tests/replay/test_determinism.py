"""The same log gives the same bytes: in any process, time zone, hash seed and size of batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from by_cp.projections.folding import fold
from by_cp.replay.snapshot import digest
from tests.statemachine.test_histories import HISTORIES, entries_of

FOLD = """
import itertools, pathlib, sys
from by_cp.projections.folding import fold
from by_cp.projections.views import initial
from by_cp.replay.snapshot import digest
from tests.statemachine.test_histories import entries_of

views, left = initial(), iter(entries_of(pathlib.Path(sys.argv[1])))
while batch := list(itertools.islice(left, int(sys.argv[2]))):
    fold(batch, views)
print(digest(views))
"""


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_a_log_folds_to_the_same_bytes_everywhere(path: Path) -> None:
    """Nothing of where and how it is folded is in what comes of it."""
    here = digest(fold(entries_of(path)))
    for seed, zone, size in (("0", "UTC", 1), ("1", "Asia/Kathmandu", 7), ("4242", "XYZ+11", 9999)):
        surroundings = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone}
        command = [sys.executable, "-c", FOLD, str(path), str(size)]
        done = subprocess.run(
            command, env=surroundings, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.stdout.strip() == here, done.stderr
