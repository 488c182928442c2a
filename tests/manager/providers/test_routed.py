"""The provider that routes: each agent type goes to its own, and each can do what it can do."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

import pytest

from by_cp.manager.provider import Decision, Progress, ask
from by_cp.manager.providers.routed import RoutedProvider
from by_cp.wire import WakeupRequest
from tests.manager.providers import Answering, Supervising, Watching
from tests.manager.providers.starting import wake_of
from tests.manager.running import running
from tests.waiting import until


async def nothing(_: Decision) -> None:
    """Show progress to nobody."""


class Open(Answering):
    """A provider that is a context, and notes when it is entered and left."""

    def __init__(self, notes: list[str], name: str, *, fails: bool = False) -> None:
        super().__init__({"status": "READY"})
        self._notes = notes
        self._name = name
        self._fails = fails

    async def __aenter__(self) -> Self:
        """Note it, or fail."""
        if self._fails:
            raise ZeroDivisionError
        self._notes.append(f"+{self._name}")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Note it."""
        self._notes.append(f"-{self._name}")


@pytest.mark.parametrize(
    ("agent_type", "expected"),
    [
        ("model-a", "the very name"),
        ("model-b", "the first pattern"),
        ("model-b1", "the first pattern"),
        ("model-c1", "the second pattern"),
        ("MODEL-b", "the default"),
        ("[x]", "a name like a pattern"),
        ("x", "a name like a pattern"),
    ],
)
async def test_the_very_name_goes_before_patterns(agent_type: str, expected: str) -> None:
    """Then the first pattern that fits, and then the default; case matters."""
    routes = {
        "model-b*": Answering({"reason": "the first pattern"}),
        "model-*": Answering({"reason": "the second pattern"}),
        "model-a": Answering({"reason": "the very name"}),
        "[x]": Answering({"reason": "a name like a pattern"}),
    }
    routed = RoutedProvider(routes, Answering({"reason": "the default"}))
    for decision in (
        await routed.wakeup(wake_of(agent_type)),
        await ask(routed, wake_of(agent_type), nothing),
    ):
        assert decision == {"reason": expected}


async def test_an_agent_type_without_a_provider_is_rejected() -> None:
    """However it is asked, and the reason says what is missing."""
    routed = RoutedProvider({"a": Answering({})})
    for decision in (
        await routed.wakeup(wake_of("b")),
        await ask(routed, wake_of("b"), nothing),
    ):
        assert "REJECTED" in str(decision)
        assert "no provider is configured for agent type 'b'" in str(decision)


async def test_progress_reaches_who_asked() -> None:
    """From a provider that can tell it."""

    class Progressing(Answering):
        async def wakeup_with_progress(
            self, request: WakeupRequest, progress: Progress
        ) -> Decision:
            await progress({"status": "QUEUED"})
            return await self.wakeup(request)

    shown: list[Decision] = []

    async def progress(news: Decision) -> None:
        shown.append(news)

    routed = RoutedProvider({"a": Progressing({"status": "READY"})})
    assert await ask(routed, wake_of("a"), progress) == {"status": "READY"}
    assert shown == [{"status": "QUEUED"}]


async def test_a_watchful_provider_watches_and_no_other() -> None:
    """One that cannot notice anything says nothing, for ever."""
    watching = Watching({"status": "FAILED"})
    watching.may_tell.set()
    routed = RoutedProvider({"a": watching, "b": Answering({})})
    assert await routed.watch(wake_of("a")) == {"status": "FAILED"}
    silent = asyncio.create_task(routed.watch(wake_of("b")))
    await asyncio.sleep(0)
    assert not silent.done()
    silent.cancel()


async def test_all_of_them_work_between_wakes(caplog: pytest.LogCaptureFixture) -> None:
    """Each once, however many routes it has; one that fails is run again, and stops no other."""

    async def fault() -> None:
        raise ZeroDivisionError

    async def work() -> None:
        await asyncio.Event().wait()

    failing, working = Supervising(fault, work), Supervising(work)
    routed = RoutedProvider({"a": failing, "b": working, "c": working}, working)
    async with running(routed.run()):
        await until(lambda: failing.runs == 2)
    assert working.runs == 1
    assert "ZeroDivisionError" in caplog.text


async def test_it_enters_and_leaves_their_contexts() -> None:
    """Each once, and in the reverse order; one that cannot be entered leaves none open."""
    notes: list[str] = []
    one, two = Open(notes, "one"), Open(notes, "two")
    async with RoutedProvider({"a": one, "b": one, "c": Answering({})}, two):
        assert notes == ["+one", "+two"]
    assert notes == ["+one", "+two", "-two", "-one"]

    notes.clear()
    with pytest.raises(ZeroDivisionError):
        async with RoutedProvider({"a": one}, Open(notes, "three", fails=True)):
            pass
    assert notes == ["+one", "-one"]
