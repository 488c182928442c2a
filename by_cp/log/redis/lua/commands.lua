-- The commands: what each decides. by_cp/log/memory/deciding.py is the same in Python.
--
-- Each function checks all it has to before its first write, because a Lua error rolls nothing
-- back. `a` are the command's own arguments, in the order of by_cp/log/redis/calls.py; the keys of
-- a command are declared in by_cp/log/redis/layout.py, those of its members one after another.

local CLAIM_MS_MIN = 1000
local INBOX_MARGIN_MS = 60000

local function wakes(policy)
  return policy == "WAKE_AND_WAIT" or policy == "WAKE_AND_QUEUE"
end

local function is_held(x)
  return x.h ~= "" and (x.state == "REQUESTED" or x.state == "WAKING")
end

local function open_inbox(x, timeout_ms)
  local inbox = x.keys.inbox
  if redis.call("EXISTS", inbox) == 0 then
    redis.call("XADD", inbox, "*", "o", "")
    redis.call("PEXPIRE", inbox, timeout_ms + INBOX_MARGIN_MS)
  else
    redis.call("PEXPIRE", inbox, timeout_ms + INBOX_MARGIN_MS, "GT")
  end
end

local function wake(x)
  local c = x.c
  local claim = redis.call("HMGET", x.keys.wake, "e", "l", "u")
  if claim[1] and tonumber(claim[3]) > clock.now(c) then
    log.record(x, "WakeRequested", { epoch = claim[1], leader = claim[2], until_ms = 0 })
  else
    local until_ms = clock.now(c) + math.max(log.call_of(x)[CALL.timeout_ms], CLAIM_MS_MIN)
    log.record(x, "WakeRequested", { epoch = "", leader = "", until_ms = until_ms })
  end
end

local function deliver(x, how, agent_type, epoch, worker_ids, by)
  log.record(x, "BecameReady", { how = how, agent_type = agent_type, epoch = epoch, worker_ids = worker_ids, by = by })
  log.record(x, "Delivered", { agent_type = agent_type })
end

-- A waiting caller is told; what nobody waits for is buried. Returns the tally's field.
local function reject_held(x, reason, by, retry_after_ms)
  local waited_for = x.d ~= ""
  local buried = {
    reason = reason, by = by,
    command = documents.command_of(x), name_at = tonumber(x.n), name_size = tonumber(x.z),
  }
  log.record(x, "Rejected", { code = "AGENT_TYPE_UNAVAILABLE", reason = reason, retry_after_ms = retry_after_ms, by = by })
  if waited_for then
    return "rejected"
  end
  log.record(x, "DeadLettered", buried)
  return "dead_lettered"
end

-- a: execution_id, call, before, name, after, inbox, digest
function commands.request(c, a, keys)
  local execution_id, body, before, name, after, inbox, digest = unpack(a)
  if redis.call("EXISTS", keys.head) == 1 then
    local x = log.load(c, execution_id, keys)
    if x.g ~= digest then
      return answers.refused("CONFLICT", execution_id)
    end
    if inbox ~= "" and inbox ~= x.i and is_held(x) then -- repeated by another process
      x.i = inbox
      open_inbox(x, log.call_of(x)[CALL.timeout_ms])
      log.save(x)
    end
    return { x.x, x.w }
  end

  local x = log.new(c, execution_id, keys)
  x.b, x.g = body, digest
  local call = log.call_of(x)
  local agent_type, policy = call[CALL.agent_type], call[CALL.policy]
  local verdict = admission.admit(x)
  local status, code, reason, to = "REJECT", "", "", agent_type
  log.record(x, "Requested", { call = body, evidence = verdict.evidence })
  if verdict.code then
    code, reason = verdict.code, verdict.reason
    log.record(x, "Rejected", { code = code, reason = reason, retry_after_ms = -1, by = "admission" })
  elseif verdict.how then
    to = verdict.agent_type
    x.command = before .. (to == agent_type and name or documents.quoted(to)) .. after
    deliver(x, verdict.how, to, "", {}, "admission")
    status = verdict.how == "FALLBACK" and "FALLBACK_TO_OTHER_AGENT_TYPE" or "DELIVER_NOW"
  else
    local waits = policy == "WAKE_AND_WAIT"
    if inbox ~= "" then
      x.i = inbox
      open_inbox(x, call[CALL.timeout_ms])
    end
    local deadline_ms = waits and clock.now(c) + call[CALL.timeout_ms] or 0
    log.record(x, "Held", { command = before .. name .. after, name_at = #before, name_size = #name, deadline_ms = deadline_ms })
    if wakes(policy) then
      wake(x)
    end
    status = waits and "WAITING" or "QUEUE_PENDING"
  end
  x.x = answers.receipt(execution_id, status, to, code, reason, -1, c.last)
  if x.closed then
    x.b = "" -- nobody will ask what a settled call was; the log knows
  end
  log.save(x)
  return { x.x, "" }
end

commands.request_now = commands.request

local function settle_one(x, s)
  local agent_type = log.call_of(x)[CALL.agent_type]
  if s.status == "READY" or s.status == "FALLBACK" then
    x.worker_ids = s.worker_ids
    if s.status == "READY" then
      deliver(x, "WAKE", agent_type, s.epoch, s.worker_ids, s.by)
    else
      deliver(x, "FALLBACK", s.selected, s.epoch, s.worker_ids, s.by)
    end
    return "delivered"
  elseif s.status == "STARTING" or s.status == "QUEUED" then
    log.record(x, "WakeProgressed", { status = s.status, reason = s.reason, by = s.by })
    return "progressed"
  elseif s.status == "REJECTED" then
    local reason = s.reason ~= "" and s.reason or string.format(SENTENCE.rejected, agent_type)
    return reject_held(x, reason, s.by, s.retry_after_ms)
  end
  local reason = s.reason ~= "" and s.reason or string.format(SENTENCE.failed, agent_type)
  log.record(x, "Failed", { reason = reason, epoch = s.epoch, by = s.by })
  log.record(x, "DeadLettered", { reason = reason, by = s.by, command = "", name_at = 0, name_size = 0 })
  return "dead_lettered"
end

-- Apply `one` to each member that `applies` to; it returns the tally's field.
local function each(c, a, first, members, applies, one)
  local tally = {}
  for i = first, #a do
    local x = log.load(c, a[i], members[i - first + 1])
    local field = "skipped"
    if applies(x) then
      field = one(x)
      log.save(x)
    end
    tally[field] = (tally[field] or 0) + 1
  end
  return answers.tally(tally)
end

-- a: epoch, status, selected, reason, retry_after_ms, worker_ids (msgpack), by, members...
function commands.settle(c, a, keys, members)
  local s = {
    epoch = a[1], status = a[2], selected = a[3], reason = a[4],
    retry_after_ms = tonumber(a[5]), worker_ids = cmsgpack.unpack(a[6]), by = a[7],
  }
  if s.status == "FALLBACK" then
    if s.selected == "" then
      s.status, s.reason = "FAILED", SENTENCE.fallback_empty
    elseif workers.seen(s.selected) == 0 then
      s.status, s.reason = "FAILED", string.format(SENTENCE.fallback_offline, s.selected)
    end
  end
  if s.status ~= "STARTING" and s.status ~= "QUEUED" and redis.call("HGET", keys.wake, "e") == s.epoch then
    redis.call("DEL", keys.wake, keys.dedupe)
  end
  return each(c, a, 8, members, function(x)
    return x.state == "WAKING" and x.e == s.epoch
  end, function(x)
    return settle_one(x, s)
  end)
end

-- a: agent_type, by, members...
function commands.release(c, a, _, members)
  local agent_type, by = a[1], a[2]
  local _, blocked = admission.open_circuit(c)
  if blocked or workers.seen(agent_type) == 0 then
    return answers.tally({ skipped = #a - 2 })
  end
  return each(c, a, 3, members, function(x)
    return is_held(x) and (x.d == "" or tonumber(x.d) > clock.now(c))
  end, function(x)
    -- Whoever waited for a wake got what it was to bring, so the wake succeeded.
    deliver(x, "ONLINE", agent_type, x.e, {}, by)
    return "delivered"
  end)
end

-- a: agent_type, by, members...
function commands.sweep(c, a, _, members)
  local reason = string.format(SENTENCE.timeout, a[1])
  return each(c, a, 3, members, function(x)
    return is_held(x) and x.d ~= "" and tonumber(x.d) <= clock.now(c)
  end, function(x)
    return reject_held(x, reason, a[2], -1)
  end)
end

-- a: execution_id, reason
function commands.give_up(c, a, keys)
  local x = log.load(c, a[1], keys)
  if x.s == "" then
    return answers.refused("UNKNOWN", x.id)
  end
  if is_held(x) then
    reject_held(x, a[2], "caller", -1)
    log.save(x)
  elseif x.w == "" then
    return answers.refused("ILLEGAL", x.id, x.state, "Rejected")
  end
  return x.w
end

-- a: execution_id, by
function commands.redrive(c, a, keys)
  local x = log.load(c, a[1], keys)
  if x.s == "" then
    return answers.refused("UNKNOWN", x.id)
  end
  if x.state ~= "DEADLETTER" then
    return answers.refused("ILLEGAL", x.id, x.state, "Redriven")
  end
  local command = documents.command_of(x)
  if command == "" then
    return answers.refused("NOTHING", x.id)
  end
  local call = log.call_of(x)
  local agent_type = call[CALL.agent_type]
  local _, blocked = admission.open_circuit(c)
  if not blocked and call[CALL.user_code] ~= "" then
    _, _, blocked = admission.used_quota(c, keys)
  end
  if blocked then
    return answers.refused("REDRIVE", x.id, "", "", blocked)
  end
  local online = workers.seen(agent_type) > 0
  local name_at, name_size = tonumber(x.n), tonumber(x.z)
  log.record(x, "Redriven", { by = a[2] })
  log.record(x, "Held", { command = command, name_at = name_at, name_size = name_size, deadline_ms = 0 })
  local status = "QUEUE_PENDING"
  if online then
    deliver(x, "ONLINE", agent_type, "", {}, a[2])
    status = "DELIVER_NOW"
  elseif wakes(call[CALL.policy]) then
    wake(x)
  end
  log.save(x)
  return answers.receipt(x.id, status, agent_type, "", "", -1, c.last)
end

-- a: execution_id, event's name, its own fields (msgpack array), expected_version
function commands.append(c, a, keys)
  local name, expected = a[2], tonumber(a[4])
  local x = log.load(c, a[1], keys)
  if expected ~= -1 and expected ~= x.version then
    return answers.refused("VERSION", x.id, "", "", "", expected, x.version)
  end
  if not log.allowed(x, name) then
    return answers.refused("ILLEGAL", x.id, x.state, name)
  end
  if name == "Delivered" and x.h == "" then
    return answers.refused("NOTHING", x.id)
  end
  local values = {}
  for i, value in ipairs(cmsgpack.unpack(a[3])) do
    local field = FIELDS[name][i]
    values[field] = RAW[name] and cmsgpack.pack(value) or value
  end
  if name == "Requested" then
    x.b = values.call
  end
  log.record(x, name, values)
  log.save(x)
  return answers.recorded(c.last, x.version)
end

-- a: event's name, its own fields (msgpack array)
function commands.configure(c, a, keys)
  local name, values = a[1], {}
  for i, value in ipairs(cmsgpack.unpack(a[2])) do
    values[FIELDS[name][i]] = value
  end
  local position = log.record_system(c, name, values)
  settings[name](c, values, position, keys)
  return answers.recorded(position, 0)
end

-- Past admission, and not in the log: a path for debugging.
-- a: command, "1" to look at the lease first
function commands.send_to_worker(c, a)
  if a[2] == "1" and not workers.lease_lives(redis.call("MGET", c.K.lease)[1]) then
    return answers.recorded("", 0)
  end
  return answers.recorded(redis.call("XADD", c.K.worker_ctrl, "*", "data", a[1]), 0)
end

function settings.CircuitForced(c, e, position)
  redis.call("HSET", c.K.circuit, "s", e.state, "r", e.reason, "p", position)
  local text
  if e.state == "OPEN" then
    local reason = e.reason ~= "" and e.reason or SENTENCE.circuit
    text = '{"state":"OPEN","reason":' .. documents.quoted(reason) .. ',"by":"' .. OURS .. '"}'
  end
  documents.mirror(c.K.circuit_doc, text)
end

function settings.QuotaSet(_, e, position, keys)
  redis.call("HSET", keys.quota, "l", string.format("%.0f", e.limit), "p", position)
  local used = tonumber(redis.call("HGET", keys.quota, "u")) or 0
  local text
  if e.limit >= 0 and used >= e.limit then
    local reason = string.format(SENTENCE.quota_used, used, e.limit)
    text = '{"available":false,"reason":' .. documents.quoted(reason) .. ',"by":"' .. OURS .. '"}'
  end
  documents.mirror(keys.quota_doc, text)
  documents.mirror(keys.quota_user_doc, text)
end

function settings.FallbackSet(c, e, position)
  redis.call("HSET", c.K.fallback, "t", e.selected, "p", position)
  local text
  if e.selected ~= "" then
    text = '{"selected_agent_type":' .. documents.quoted(e.selected) .. ',"by":"' .. OURS .. '"}'
  end
  documents.mirror(c.K.fallback_doc, text)
end
