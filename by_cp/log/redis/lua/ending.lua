-- How executions end: delivered, with what it says of the circuit; rejected; failed; buried.
-- by_cp/log/memory/ending.py is the same in Python.

function ending.is_held(x)
  return x.h ~= "" and (x.state == "REQUESTED" or x.state == "WAKING")
end

function ending.is_late(x)
  local due = x.d ~= "" and x.d or x.y
  return due ~= "" and tonumber(due) <= clock.now(x.c)
end

function ending.deliver(x, how, agent_type, epoch, worker_ids, by)
  log.record(x, "BecameReady", { how = how, agent_type = agent_type, epoch = epoch, worker_ids = worker_ids, by = by })
  -- A foreign client that waits delivers by itself.
  local handed_over = x.d ~= "" and (log.call_of(x)[CALL.origin] or "") ~= ""
  log.record(x, "Delivered", { agent_type = agent_type, handed_over = handed_over })
  if how == "ONLINE" or how == "WAKE" then
    breaker.succeeded(x.c, how)
  end
end

function ending.fail(x, reason, epoch, by)
  local struck = epoch ~= "" and breaker.row(x.c).e ~= epoch
  log.record(x, "Failed", { reason = reason, epoch = epoch, by = by })
  log.record(x, "DeadLettered", { reason = reason, by = by, command = "", name_at = 0, name_size = 0 })
  if struck then
    breaker.failed(x.c, reason)
  end
end

-- A waiting caller is told; what nobody waits for is buried. Returns the tally's field.
function ending.reject(x, code, reason, by, retry_after_ms)
  local waited_for = x.d ~= ""
  local buried = {
    reason = reason, by = by,
    command = documents.command_of(x), name_at = tonumber(x.n), name_size = tonumber(x.z),
  }
  log.record(x, "Rejected", { code = code, reason = reason, retry_after_ms = retry_after_ms, by = by })
  if waited_for then
    return "rejected"
  end
  log.record(x, "DeadLettered", buried)
  return "dead_lettered"
end

function ending.expire(x, by)
  if x.d ~= "" then
    local reason = string.format(SENTENCE.timeout, log.call_of(x)[CALL.agent_type])
    return ending.reject(x, "AGENT_TYPE_UNAVAILABLE", reason, by, -1)
  end
  return ending.reject(x, "COMMAND_EXPIRED", SENTENCE.expired, by, -1)
end

-- Apply `one` to each of a batch's members that `applies` to; it returns the tally's field.
function ending.each(c, ids, members, applies, one)
  local tally = {}
  for i = 1, #ids do
    local x = log.load(c, ids[i], members[i])
    local field = "skipped"
    if applies(x) then
      field = one(x)
      log.save(x)
    end
    tally[field] = (tally[field] or 0) + 1
  end
  return answers.tally(tally)
end
