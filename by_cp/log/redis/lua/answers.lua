-- The answers, as the tagged msgpack arrays that by_cp/log/answers.py decodes. Their order of
-- fields is that of the classes there.

local function tagged(tag, ...)
  return string.char(0x91 + select("#", ...)) .. cmsgpack.pack(tag, ...)
end

function answers.receipt(execution_id, status, agent_type, code, reason, retry_after_ms, position)
  return tagged("receipt", execution_id, status, agent_type, code, reason, retry_after_ms, position)
end

function answers.outcome(execution_id, status, state, agent_type, code, reason, retry_after_ms)
  return tagged("outcome", execution_id, status, state, agent_type, code, reason, retry_after_ms)
end

function answers.tally(t)
  return tagged("tally", t.delivered or 0, t.dead_lettered or 0, t.rejected or 0, t.progressed or 0, t.skipped or 0)
end

function answers.attempted(epoch, attempt, why_not)
  return tagged("attempted", epoch, attempt, why_not)
end

function answers.recorded(position, version)
  return tagged("recorded", position, version)
end

function answers.refused(refusal, execution_id, state, event, reason, expected, actual)
  return tagged("refused", refusal, execution_id, state or "", event or "", reason or "", expected or -1, actual or -1)
end
