"""What became of a message, for people: delivered, held or rejected, and where it stands."""

from __future__ import annotations

from rich.text import Text

from by_cp.control_plane import ControlPlane
from by_cp.protocol.responses import SendMessageResponse
from by_cp.replay.history import Row, history
from by_cp.statemachine.states import State


async def last_step(plane: ControlPlane, response: SendMessageResponse) -> Row:
    """Return where the message's execution stands now."""
    return history(await plane.history(response.execution_id)).rows[-1]


def in_words(response: SendMessageResponse, last: Row, agent_type: str) -> Text:
    """Return it in a line, and the reason of a rejection in a second."""
    if not response.success:
        first = ("REJECTED", "bold red"), f" {response.error_code}"
        reason = f"\n{response.error}"
    elif last.after == State.DELIVERED:
        first = ("DELIVERED", "bold green"), f" to {last.fields['agent_type']}"
        reason = ""
    else:
        being_woken = ", and it is being woken" if last.after == State.WAKING else ""
        first = ("HELD", "bold yellow"), f" for {agent_type}{being_woken}"
        reason = ""
    return Text.assemble(*first, "  ", (response.execution_id, "dim"), reason)
