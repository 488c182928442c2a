-- What each declared effect does on the server: one function an effect, called by `log.record` in
-- the declared order. `x` is the execution, `e` the event's own fields by name, `position` the
-- event's. The handlers in by_cp/projections say the same of the views.

local RESULT_MS = 300000 -- how long a result stream is kept for its reader

local function ignore() end

local function int(number)
  return string.format("%.0f", number)
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

-- After a lease was given (change 1) or given back (-1).
local function count(x, change, position)
  local keys = x.keys
  redis.call("HSET", keys.quota, "p", position)
  local limit = tonumber(redis.call("HGET", keys.quota, "l") or -1)
  if limit >= 0 then
    local used = redis.call("ZCARD", keys.leases)
    mirror_quota(keys, used - change, used, limit)
  end
end

-- The call is charged to the tenant's rate.
function effects.open(x, e, position)
  if e.tat_us and e.tat_us >= 0 then
    redis.call("HSET", x.keys.quota, "t", int(e.tat_us), "p", position)
  end
end

local function index_entry(x)
  return string.format("%016.0f/", tonumber(x.r) or 0) .. log.sort_key(x.h) .. "/" .. x.id
end

function effects.unindex(x)
  redis.call("ZREM", x.c.K.index, index_entry(x))
end

-- Put a held command where the gate finds it.
function effects.enqueue(x)
  redis.call("ZADD", x.c.K.index, -log.call_of(x)[CALL.priority], index_entry(x))
end

local function text_of(ms)
  return ms > 0 and int(ms) or ""
end

function effects.hold(x, e, position)
  if x.h ~= "" then
    return
  end
  local c, call = x.c, log.call_of(x)
  local document, offset = documents.pending_delivery(x, e.command)
  x.h = position
  x.q = redis.call("XADD", c.K.pending, "*", "data", document, "by", OURS)
  x.k, x.n, x.z = tostring(offset), tostring(e.name_at), tostring(e.name_size)
  x.d, x.y, x.a = text_of(e.deadline_ms), text_of(e.expires_at_ms), text_of(e.not_before_ms)
  x.r = e.rank > 0 and int(e.rank) or ""
  x.command = e.command
  if x.a ~= "" and e.not_before_ms > clock.now(c) then
    redis.call("ZADD", c.K.delayed, x.a, x.id)
  else
    effects.enqueue(x)
  end
  redis.call("HINCRBY", c.K.depth, call[CALL.agent_type], 1)
  local due = x.d ~= "" and x.d or x.y
  if due ~= "" then
    redis.call("ZADD", c.K.deadlines, due, x.id)
  end
end

function effects.unhold(x)
  if x.h == "" then
    return
  end
  local c, agent_type = x.c, log.call_of(x)[CALL.agent_type]
  effects.unindex(x)
  redis.call("XDEL", c.K.pending, x.pending_entry or x.q)
  if redis.call("HINCRBY", c.K.depth, agent_type, -1) <= 0 then
    redis.call("HDEL", c.K.depth, agent_type)
    redis.call("DEL", c.K.fair)
    c.times = nil
  end
  if x.d ~= "" or x.y ~= "" then
    redis.call("ZREM", c.K.deadlines, x.id)
  end
  if x.a ~= "" then
    redis.call("ZREM", c.K.delayed, x.id)
  end
  x.h, x.d, x.y, x.a, x.r = "", "", "", "", ""
  if not x.pending_entry then -- else the entry is the dead letter's by now
    x.q, x.k, x.n, x.z = "", "", "", ""
  end
end

function effects.charge(x, e, position)
  if x.u == "1" or log.call_of(x)[CALL.user_code] == "" then
    return
  end
  x.u = "1"
  local due = e.deadline_ms > 0 and e.deadline_ms or e.expires_at_ms
  redis.call("ZADD", x.keys.leases, due > 0 and int(due) or "+inf", x.id)
  count(x, 1, position)
end

function effects.discharge(x, _, position)
  if x.u ~= "1" then
    return
  end
  x.u = ""
  redis.call("ZREM", x.keys.leases, x.id)
  count(x, -1, position)
end

function effects.join(x, e, position)
  local c, call = x.c, log.call_of(x)
  local members, wake = x.keys.wake_members, x.keys.wake
  if x.j ~= "" then
    redis.call("ZREM", members, log.sort_key(x.j) .. "/" .. x.id)
  end
  x.e = e.epoch ~= "" and e.epoch or position
  x.j = position
  redis.call("ZADD", members, -call[CALL.priority], log.sort_key(position) .. "/" .. x.id)
  if e.permit_until_ms > 0 then
    breaker.take_permit(c, position, e.permit_until_ms, position)
  end
  if e.epoch ~= "" then
    return
  end
  redis.call("DEL", wake)
  redis.call("HSET", wake, "w", position, "l", x.id, "u", int(e.until_ms), "t", position, "n", "0", "p", position)
  redis.call("SET", x.keys.dedupe, x.id, "PX", int(math.max(e.until_ms - clock.now(c), 1)))
  redis.call("XADD", c.K.wakeup, "*", "data", documents.wakeup_request(x), "epoch", position)
  note_availability(c, "WAKING", position, position)
end

function effects.attempt(x, e, position)
  local wake = x.keys.wake
  local before = redis.call("HMGET", wake, "w", "l", "z")
  local leader = before[1] == e.wake and not before[3] and before[2] or x.id
  redis.call("DEL", wake)
  redis.call("HSET", wake, "w", e.wake, "l", leader, "u", int(e.until_ms), "t", position, "n", int(e.attempt), "p", position)
  redis.call("SET", x.keys.dedupe, leader, "PX", int(math.max(e.until_ms - clock.now(x.c), 1)))
end

function effects.leave(x)
  if x.j == "" then
    return
  end
  redis.call("ZREM", x.keys.wake_members, log.sort_key(x.j) .. "/" .. x.id)
  x.e, x.j = "", ""
end

function effects.heal(x, e, position)
  if e.epoch ~= "" then
    breaker.heal(x.c, position)
    note_availability(x.c, "READY", e.epoch, position)
  end
end

function effects.strike(x, e, position)
  if e.epoch ~= "" then
    breaker.strike(x.c, e.epoch, position)
    note_availability(x.c, "FAILED", e.epoch, position)
  end
end

function effects.deliver(x, e)
  if x.was_held then
    fairness.delivered(x)
  end
  if e.handed_over then
    return
  end
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
  x.buried = command
  x.closed = nil
end

-- Tell an agent that waits for a reply, by its own control stream, that none will come.
function effects.resume_caller(x, command, reason)
  local to, resume = documents.resume(x, command, reason)
  if to then
    redis.call("XADD", PREFIX.ctrl .. to, "*", "data", resume)
  end
end

-- Whoever waits here is told so.
function effects.resume(x, e)
  if x.d == "" then
    effects.resume_caller(x, x.buried, e.reason)
  end
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
