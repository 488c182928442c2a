"""The log in memory: pure Python, deterministic, without any server.

It is the oracle of the property tests, and the users' test double. The only clock in it is the one
it is given; a test moves that clock and sees deadlines pass.

A command is checked, then it becomes events, each of which is appended and folded into the views.
So the views *are* the state: what a command decides depends only on what the log says, on who is
online, and on what someone wrote by hand (`world.py`).
"""

from by_cp.log.memory.log import MemoryLog
from by_cp.log.memory.store import MemoryStore
from by_cp.log.memory.world import ManualClock

__all__ = ["ManualClock", "MemoryLog", "MemoryStore"]
