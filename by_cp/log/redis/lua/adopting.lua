-- Taking what a foreign client wrote into by-cp's streams into the log.
-- by_cp/log/memory/adopting.py is the same in Python.
--
-- What that client does next is not ours to say. Whoever waits delivers by itself once it hears
-- READY; so nothing is put into the control stream for it. Whoever went on was told that its command
-- is held; so it is, and a verdict that would reject it leaves it there for the gate.

local function hold(x, command, name_at, name_size, written_ms)
  local call = log.call_of(x)
  local waits = call[CALL.policy] == "WAKE_AND_WAIT"
  log.record(x, "Held", {
    command = command, name_at = name_at, name_size = name_size,
    deadline_ms = waits and written_ms + call[CALL.timeout_ms] or 0,
    not_before_ms = 0, expires_at_ms = 0, rank = fairness.rank(x),
  })
  return waits
end

-- Returns the receipt's status, agent type, code, reason and retry_after_ms.
local function decide(x, waits, verdict)
  local agent_type = log.call_of(x)[CALL.agent_type]
  if waits and ending.is_late(x) then
    ending.expire(x, "admission")
    return "REJECT", agent_type, "AGENT_TYPE_UNAVAILABLE", string.format(SENTENCE.timeout, agent_type), -1
  elseif verdict.how then
    ending.deliver(x, verdict.how, verdict.agent_type, "", {}, "admission")
    local fallback = verdict.how == "FALLBACK"
    return fallback and "FALLBACK_TO_OTHER_AGENT_TYPE" or "DELIVER_NOW", verdict.agent_type, "", "", -1
  elseif waits and verdict.code then
    ending.reject(x, verdict.code, verdict.reason, "admission", verdict.retry_after_ms)
    return "REJECT", agent_type, verdict.code, verdict.reason, verdict.retry_after_ms
  elseif verdict.wakes then
    waking.wake(x, verdict.permit_until_ms)
  end
  return waits and "WAITING" or "QUEUE_PENDING", agent_type, "", "", -1
end

-- a: execution_id, call, before, name, after, digest, written_ms, entry of the wakeup stream, entry
--    of the pending stream
function commands.adopt(c, a, keys)
  local execution_id, body, before, name, after, digest = unpack(a)
  local x = log.load(c, execution_id, keys)
  if x.s ~= "" and x.g ~= "?" and x.g ~= digest then
    return answers.refused("CONFLICT", execution_id)
  end
  if x.s == "" then
    x.b, x.g = body, digest
    c.agent_type = log.call_of(x)[CALL.agent_type]
    local verdict = admission.admit(x)
    if verdict.half_opens then
      breaker.half_open(c)
    end
    log.record(x, "Requested", { call = body, evidence = verdict.evidence, tat_us = verdict.tat_us })
    local waits = hold(x, before .. name .. after, #before, #name, tonumber(a[7]))
    local status, to, code, reason, retry_after_ms = decide(x, waits, verdict)
    x.x = answers.receipt(execution_id, status, to, code, reason, retry_after_ms, c.last)
    log.save(x)
  end
  if a[8] ~= "" then
    redis.call("XDEL", c.K.wakeup, a[8])
  end
  if a[9] ~= "" and a[9] ~= x.q then -- else it is by-cp's own, whoever takes it for another's
    redis.call("XDEL", c.K.pending, a[9])
  end
  return x.x
end
