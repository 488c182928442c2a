"""Admission: circuit, quota, SEND_ANYWAY, online, fallback, policy; the first that applies."""

from __future__ import annotations

import pytest

from by_cp.log.answers import Receipt
from by_cp.log.contract import Store
from by_cp.log.foreign import Foreign
from by_cp.statemachine.events import BecameReady, Evidence, Requested
from by_cp.vocabulary import AvailabilityStatus, ErrorCode, RoutePolicy
from tests.contract.acting import force_circuit, online, request, set_fallback, set_quota
from tests.contract.surroundings import Surroundings


async def ask(store: Store, execution_id: str, policy: RoutePolicy) -> Receipt:
    """Ask as the tenant whose quota is watched."""
    return await request(store, execution_id, policy, user_code="acme")


async def evidence_of(store: Store, execution_id: str) -> Evidence:
    """Return what admission saw."""
    event = (await store.history(execution_id))[0].event
    assert isinstance(event, Requested)
    return event.evidence


async def how(store: Store, execution_id: str) -> str:
    """Return why a command was delivered at once."""
    event = (await store.history(execution_id))[1].event
    assert isinstance(event, BecameReady)
    return event.how


async def test_each_rung_decides_before_those_below_it(store: Store) -> None:
    """Everything stands in the way at once; taken away one by one, from the top."""
    await force_circuit(store, "OPEN")
    await set_quota(store, 0)
    await set_fallback(store, "other")
    await online(store, "other", "worker-of-other")
    await online(store, "echo")

    code = (await ask(store, "exec-circuit", RoutePolicy.SEND_ANYWAY)).code
    assert code == ErrorCode.AGENT_CIRCUIT_OPEN
    await force_circuit(store, "CLOSED")

    code = (await ask(store, "exec-quota", RoutePolicy.SEND_ANYWAY)).code
    assert code == ErrorCode.TENANT_QUOTA_EXCEEDED
    await set_quota(store, -1)

    await ask(store, "exec-anyway", RoutePolicy.SEND_ANYWAY)
    assert await how(store, "exec-anyway") == "SEND_ANYWAY"
    await ask(store, "exec-online", RoutePolicy.FAIL_FAST)
    assert await how(store, "exec-online") == "ONLINE"
    await store.retire("worker-1")

    await ask(store, "exec-fallback", RoutePolicy.FAIL_FAST)
    assert await how(store, "exec-fallback") == "FALLBACK"
    await store.retire("worker-of-other")

    receipt = await ask(store, "exec-policy", RoutePolicy.FAIL_FAST)
    assert receipt.code == ErrorCode.AGENT_TYPE_UNAVAILABLE


async def test_evidence_says_how_far_admission_looked(store: Store) -> None:
    """What was not looked at is -1 or empty: it had no part in the decision."""
    await set_quota(store, 3)
    await online(store, "echo")
    await ask(store, "exec-1", RoutePolicy.FAIL_FAST)
    assert await evidence_of(store, "exec-1") == Evidence("CLOSED", 0, 3, 1, 1)
    await request(store, "exec-2", RoutePolicy.FAIL_FAST)
    assert await evidence_of(store, "exec-2") == Evidence("CLOSED", -1, -1, 1, 1)
    await store.retire("worker-1")
    await force_circuit(store, "OPEN")
    await ask(store, "exec-3", RoutePolicy.FAIL_FAST)
    assert await evidence_of(store, "exec-3") == Evidence("OPEN", -1, -1, -1, -1)


async def test_quota_lets_in_as_many_as_the_limit_and_says_so(store: Store) -> None:
    """Used and limit stand in the evidence and in the reason."""
    await set_quota(store, 2)
    for number in range(2):
        receipt = await ask(store, f"exec-{number}", RoutePolicy.QUEUE_ONLY)
        assert receipt.status == AvailabilityStatus.QUEUE_PENDING
    receipt = await ask(store, "exec-2", RoutePolicy.QUEUE_ONLY)
    assert (receipt.status, receipt.code) == ("REJECT", ErrorCode.TENANT_QUOTA_EXCEEDED)
    assert receipt.reason == "tenant quota exceeded: 2 of 2 in flight"
    evidence = await evidence_of(store, "exec-2")
    assert (evidence.quota_used, evidence.quota_limit) == (2, 2)


async def test_quota_is_each_tenant_s_own(store: Store) -> None:
    """One tenant's limit stops no other, nor those who belong to none."""
    await set_quota(store, 0)
    for number, user_code in enumerate(("other", "")):
        receipt = await request(
            store, f"exec-{number}", RoutePolicy.QUEUE_ONLY, user_code=user_code
        )
        assert receipt.status == AvailabilityStatus.QUEUE_PENDING


async def test_a_lowered_limit_takes_nothing_away(store: Store) -> None:
    """What was let in stays in; the next one is refused until there is room again."""
    for number in range(3):
        await ask(store, f"exec-{number}", RoutePolicy.QUEUE_ONLY)
    await set_quota(store, 1)
    assert len((await store.views()).pending) == 3
    receipt = await ask(store, "exec-3", RoutePolicy.QUEUE_ONLY)
    assert receipt.reason == "tenant quota exceeded: 3 of 1 in flight"


# --- What someone wrote by hand -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"state":"OPEN","reason":"on fire"}', "on fire"),
        ('{"state":"open"}', "agent circuit is open"),
        ('{"state":"Open","reason":"","by":"me"}', "agent circuit is open"),
    ],
)
async def test_hand_written_circuit_is_honoured(
    store: Store, around: Surroundings, text: str, reason: str
) -> None:
    """Whoever writes OPEN, in any case, closes the way; the log knows that it was not by-cp."""
    await around.write_by_hand("circuit", "echo", text)
    receipt = await ask(store, "exec-1", RoutePolicy.SEND_ANYWAY)
    assert (receipt.code, receipt.reason) == (ErrorCode.AGENT_CIRCUIT_OPEN, reason)
    assert (await evidence_of(store, "exec-1")).circuit == "FOREIGN"


async def test_hand_written_quota_is_honoured(store: Store, around: Surroundings) -> None:
    """`available` false is used up, whatever by-cp's own view says."""
    await around.write_by_hand("quota", "acme", '{"available":false,"reason":"unpaid"}')
    receipt = await ask(store, "exec-1", RoutePolicy.QUEUE_ONLY)
    assert (receipt.code, receipt.reason) == (ErrorCode.TENANT_QUOTA_EXCEEDED, "unpaid")
    await around.write_by_hand("quota", "acme", None)
    receipt = await ask(store, "exec-2", RoutePolicy.QUEUE_ONLY)
    assert receipt.status == AvailabilityStatus.QUEUE_PENDING


@pytest.mark.parametrize("field", ["selected_agent_type", "agent_type", "target_agent_type"])
async def test_hand_written_fallback_is_honoured(
    store: Store, around: Surroundings, field: str
) -> None:
    """Under any of the names that by-framework gives it."""
    await online(store, "other")
    await around.write_by_hand("fallback", "echo", f'{{"{field}":"other"}}')
    receipt = await ask(store, "exec-1", RoutePolicy.FAIL_FAST)
    assert receipt.agent_type == "other"
    assert receipt.status == AvailabilityStatus.FALLBACK_TO_OTHER_AGENT_TYPE


async def test_own_fallback_comes_before_a_hand_written_one(
    store: Store, around: Surroundings
) -> None:
    """What by-cp was told through its own log is the truth."""
    await set_fallback(store, "ours")
    await online(store, "ours", "worker-1")
    await online(store, "theirs", "worker-2")
    await around.write_by_hand("fallback", "echo", '{"agent_type":"theirs"}')
    assert (await ask(store, "exec-1", RoutePolicy.FAIL_FAST)).agent_type == "ours"


async def test_what_is_written_by_hand_can_be_looked_at(store: Store, around: Surroundings) -> None:
    """As admission understands it, of everybody or of one; what by-cp wrote itself is not in it."""
    await force_circuit(store, "OPEN")
    await set_fallback(store, "ours")
    await around.write_by_hand("circuit", "burning", '{"state":"open","reason":"on fire"}')
    await around.write_by_hand("circuit", "mended", '{"state":"CLOSED"}')
    await around.write_by_hand("quota", "acme", '{"available":false}')
    await around.write_by_hand("fallback", "a:b", '{"agent_type":"other"}')
    said = Foreign({"burning": "on fire"}, {"acme": "tenant quota exceeded"}, {"a:b": "other"})
    assert await store.foreign() == said
    assert await store.foreign("burning") == Foreign(said.circuits, {}, {})
    assert await store.foreign("acme") == Foreign({}, said.quotas, {})
    assert await store.foreign("nobody") == Foreign({}, {}, {})


NONSENSE = [
    "",
    "OPEN",
    "not JSON",
    "[]",
    '"OPEN"',
    "null",
    "{}",
    '{"state":1,"available":"false","selected_agent_type":["x"]}',
    '{"state":"CLOSED","available":null,"agent_type":""}',
    '{"state":"OPEN","available":false,"agent_type":"other"',
    '{"state":"OPEN","available":false,"agent_type":"other","by":"by-cp"}',
    '{"state":' + "[" * 2000 + "]" * 2000 + "}",
]


@pytest.mark.parametrize("text", NONSENSE, ids=lambda text: ascii(text)[:30])
async def test_hand_written_nonsense_is_as_if_it_were_not_there(
    store: Store, around: Surroundings, text: str
) -> None:
    """Not JSON, of wrong types, cut short, nested beyond reason; or marked as by-cp's own echo."""
    await online(store, "other")
    for kind, name in (("circuit", "echo"), ("quota", "acme"), ("fallback", "echo")):
        await around.write_by_hand(kind, name, text)
    receipt = await ask(store, "exec-1", RoutePolicy.QUEUE_ONLY)
    assert receipt.status == AvailabilityStatus.QUEUE_PENDING
    assert receipt.agent_type == "echo"
    assert await store.foreign() == Foreign({}, {}, {})


async def test_closing_by_cp_s_circuit_opens_no_hand_written_one(
    store: Store, around: Surroundings
) -> None:
    """Theirs stays theirs: by-cp neither removes nor overwrites it."""
    await around.write_by_hand("circuit", "echo", '{"state":"OPEN","reason":"theirs"}')
    await force_circuit(store, "OPEN")
    assert (await ask(store, "exec-1", RoutePolicy.FAIL_FAST)).reason == "maintenance"
    await force_circuit(store, "CLOSED")
    assert (await ask(store, "exec-2", RoutePolicy.FAIL_FAST)).reason == "theirs"
