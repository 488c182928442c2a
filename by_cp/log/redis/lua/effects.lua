-- What each declared effect does on the server: one function an effect, called by `log.record` in
-- the declared order. `x` is the execution, `e` the event's own fields by name, `position` the
-- event's. The handlers in by_cp/projections say the same of the views.

local RESULT_MS = 300000 -- how long a result stream is kept for its reader
local CLAIM_MARGIN_MS = 60000 -- a claim's key outlives the claim; `until` is what counts

local function ignore() end

local function circuit_of(c)
  if not c.circuit then
    local row = redis.call("HMGET", c.K.circuit, "s", "f", "e", "r")
    c.circuit = { state = row[1] or "CLOSED", failures = tonumber(row[2]) or 0, epoch = row[3] or "", reason = row[4] or "" }
  end
  return c.circuit
end

local function note_availability(c, state, epoch, position)
  if not c.availability then
    local row = redis.call("HMGET", c.K.availability, "s", "e")
    c.availability = { state = row[1], epoch = row[2] }
  end
  local row = c.availability
  if row.state ~= state or row.epoch ~= epoch then
    row.state, row.epoch = state, epoch
    redis.call("HSET", c.K.availability, "s", state, "e", epoch, "p", position)
  end
end

-- by-framework reads a quota that is used up as a document; keep it there just as long.
local function mirror_quota(keys, before, after, limit)
  if limit < 0 or (before >= limit) == (after >= limit) then
    return
  end
  local text
  if after >= limit then
    text = '{"available":false,"reason":' .. documents.quoted(string.format(SENTENCE.quota_used, after, limit)) .. ',"by":"' .. OURS .. '"}'
  end
  documents.mirror(keys.quota_doc, text)
  documents.mirror(keys.quota_user_doc, text)
end

local function count(x, change, position)
  local keys = x.keys
  local limit = tonumber(redis.call("HGET", keys.quota, "l") or -1)
  local used = redis.call("HINCRBY", keys.quota, "u", change)
  redis.call("HSET", keys.quota, "p", position)
  mirror_quota(keys, used - change, used, limit)
end

effects.open = ignore

function effects.hold(x, e, position)
  if x.h ~= "" then
    return
  end
  local c, call = x.c, log.call_of(x)
  local document, offset = documents.pending_delivery(x, e.command)
  x.h = position
  x.q = redis.call("XADD", c.K.pending, "*", "data", document)
  x.k, x.n, x.z = tostring(offset), tostring(e.name_at), tostring(e.name_size)
  x.d = e.deadline_ms > 0 and string.format("%.0f", e.deadline_ms) or ""
  x.command = e.command
  redis.call("ZADD", c.K.index, -call[CALL.priority], log.sort_key(position) .. "/" .. x.id)
  redis.call("HINCRBY", c.K.depth, call[CALL.agent_type], 1)
  if x.d ~= "" then
    redis.call("ZADD", c.K.deadlines, x.d, x.id)
  end
end

function effects.unhold(x)
  if x.h == "" then
    return
  end
  local c, agent_type = x.c, log.call_of(x)[CALL.agent_type]
  redis.call("ZREM", c.K.index, log.sort_key(x.h) .. "/" .. x.id)
  redis.call("XDEL", c.K.pending, x.pending_entry or x.q)
  if redis.call("HINCRBY", c.K.depth, agent_type, -1) <= 0 then
    redis.call("HDEL", c.K.depth, agent_type)
  end
  if x.d ~= "" then
    redis.call("ZREM", c.K.deadlines, x.id)
  end
  x.h, x.d = "", ""
  if not x.pending_entry then -- else the entry is the dead letter's by now
    x.q, x.k, x.n, x.z = "", "", "", ""
  end
end

function effects.charge(x, _, position)
  if x.u == "1" or log.call_of(x)[CALL.user_code] == "" then
    return
  end
  x.u = "1"
  count(x, 1, position)
end

function effects.discharge(x, _, position)
  if x.u ~= "1" then
    return
  end
  x.u = ""
  count(x, -1, position)
end

function effects.join(x, e, position)
  local c, call = x.c, log.call_of(x)
  x.e = e.epoch ~= "" and e.epoch or position
  x.j = position
  redis.call("ZADD", x.keys.wake_members, -call[CALL.priority], log.sort_key(position) .. "/" .. x.id)
  if e.epoch ~= "" then
    return
  end
  local lasts_ms = math.max(e.until_ms - clock.now(c), 1)
  redis.call("HSET", x.keys.wake, "e", position, "l", x.id, "u", string.format("%.0f", e.until_ms))
  redis.call("PEXPIRE", x.keys.wake, string.format("%.0f", lasts_ms + CLAIM_MARGIN_MS))
  redis.call("SET", x.keys.dedupe, x.id, "PX", string.format("%.0f", lasts_ms))
  redis.call("XADD", c.K.wakeup, "*", "data", documents.wakeup_request(x), "epoch", position)
  note_availability(c, "WAKING", position, position)
end

function effects.leave(x)
  if x.j == "" then
    return
  end
  redis.call("ZREM", x.keys.wake_members, log.sort_key(x.j) .. "/" .. x.id)
  x.e, x.j = "", ""
end

function effects.heal(x, e, position)
  if e.epoch == "" then
    return
  end
  local circuit = circuit_of(x.c)
  if circuit.failures > 0 then
    circuit.failures = 0
    redis.call("HSET", x.c.K.circuit, "f", "0", "p", position)
  end
  note_availability(x.c, "READY", e.epoch, position)
end

function effects.strike(x, e, position)
  if e.epoch == "" then
    return
  end
  local circuit = circuit_of(x.c)
  if circuit.epoch ~= e.epoch then
    circuit.failures, circuit.epoch = circuit.failures + 1, e.epoch
    redis.call("HSET", x.c.K.circuit, "f", tostring(circuit.failures), "e", e.epoch, "p", position)
  end
  note_availability(x.c, "FAILED", e.epoch, position)
end

function effects.deliver(x, e)
  local command, to = documents.command_of(x), e.agent_type
  local stream = PREFIX.ctrl .. to
  if x.was_held and to ~= log.call_of(x)[CALL.agent_type] then
    command = documents.readdressed(command, tonumber(x.n), tonumber(x.z), to)
  end
  redis.call("XADD", stream, "*", "data", command, "execution_id", x.id)
end

local function show(x, status, selected, worker_ids, retry_after_ms, reason)
  local result = x.keys.result
  redis.call("XADD", result, "*", "data", documents.decision(x, status, selected, worker_ids, retry_after_ms, reason))
  redis.call("PEXPIRE", result, RESULT_MS)
end

function effects.progress(x, e)
  show(x, e.status, "", {}, -1, e.reason)
end

-- Only what was held is waited for; a call that was decided at once is told by its own answer.
function effects.tell(x, e)
  if not x.was_held then
    return
  end
  local agent_type = log.call_of(x)[CALL.agent_type]
  local status, code, reason, retry_after_ms = "REJECT", e.code or "AGENT_TYPE_UNAVAILABLE", e.reason or "", e.retry_after_ms or -1
  local to = agent_type
  if x.state == "DELIVERED" then
    to, code = e.agent_type, ""
    if to == agent_type then
      status = "WAIT_AND_DELIVER"
      show(x, "READY", "", x.worker_ids or {}, -1, "")
    else
      status = "FALLBACK_TO_OTHER_AGENT_TYPE"
      show(x, "FALLBACK", to, x.worker_ids or {}, -1, "")
    end
  else
    show(x, x.state == "REJECTED" and "REJECTED" or "FAILED", "", {}, retry_after_ms, reason)
  end
  x.w = answers.outcome(x.id, status, x.state, to, code, reason, retry_after_ms)
  if x.i ~= "" then
    redis.call("XADD", x.keys.inbox, "NOMKSTREAM", "*", "o", x.w)
  end
end

function effects.bury(x, e)
  local c = x.c
  local command = e.command
  if command == "" and x.h ~= "" then
    command = documents.command_of(x)
  end
  local document, offset = documents.dead_letter(x, e.reason, command)
  if x.h ~= "" then
    x.pending_entry = x.q
  end
  if e.command ~= "" then
    x.n, x.z = tostring(e.name_at), tostring(e.name_size)
  end
  x.q = redis.call("XADD", c.K.dead, "*", "data", document)
  x.k = tostring(offset)
  redis.call("HSET", c.K.dead_index, x.id, x.q)
  x.closed = nil
end

function effects.exhume(x)
  redis.call("XDEL", x.c.K.dead, x.q)
  redis.call("HDEL", x.c.K.dead_index, x.id)
  x.q, x.k, x.n, x.z = "", "", "", ""
  x.w = "" -- it has another life, and an outcome to come
end

-- A head that is closed expires after the retention time.
function effects.close(x)
  x.closed = true
end
