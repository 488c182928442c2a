"""The agents view: what operators said of agent types."""

from __future__ import annotations

from by_cp.projections.rows import NO_LIMIT, AgentRow
from by_cp.statemachine.events import AgentDraining, AgentPaused, AgentResumed, DepthSet
from tests.projections.story import Story


def test_an_agent_type_is_paused_drained_and_resumed() -> None:
    """The last word counts; resuming forgets the reason."""
    story = Story()
    position = story.happens(AgentPaused("", "echo", "upgrade", "operator"))
    assert story.views.agents == {"echo": AgentRow("echo", "PAUSED", "upgrade", NO_LIMIT, position)}
    position = story.happens(AgentDraining("", "echo", "goes away"))
    assert story.views.agents["echo"] == AgentRow("echo", "DRAINING", "goes away", -1, position)
    position = story.happens(AgentResumed("", "echo"))
    assert story.views.agents["echo"] == AgentRow("echo", "RUNNING", "", NO_LIMIT, position)


def test_a_depth_limit_outlives_a_pause() -> None:
    """They are set apart from each other."""
    story = Story()
    story.happens(DepthSet("", "echo", 100), AgentPaused("", "echo"), AgentResumed("", "echo"))
    assert story.views.agents["echo"].depth_max == 100
    story.happens(DepthSet("", "echo", NO_LIMIT))
    assert story.views.agents["echo"].depth_max == NO_LIMIT
