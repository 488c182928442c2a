-- The commands: what each decides. by_cp/log/memory/deciding.py is the same in Python; those about
-- wakes stand in waking.lua.
--
-- Each function checks all it has to before its first write, because a Lua error rolls nothing
-- back. `a` are the command's own arguments, in the order of by_cp/log/redis/encoding.py; the keys
-- of a command are declared in by_cp/log/redis/layout.py, those of its members one after another.

local INBOX_MARGIN_MS = 60000

local function open_inbox(x, timeout_ms)
  local inbox = x.keys.inbox
  if redis.call("EXISTS", inbox) == 0 then
    redis.call("XADD", inbox, "*", "o", "")
    redis.call("PEXPIRE", inbox, timeout_ms + INBOX_MARGIN_MS)
  else
    redis.call("PEXPIRE", inbox, timeout_ms + INBOX_MARGIN_MS, "GT")
  end
end

-- A waiting caller's time ends with the command's.
local function hold(x, command, name_at, name_size)
  local c, call = x.c, log.call_of(x)
  local expires_at_ms, deadline_ms = call[CALL.expires_at_ms] or 0, 0
  if call[CALL.policy] == "WAKE_AND_WAIT" then
    deadline_ms = clock.now(c) + call[CALL.timeout_ms]
    if expires_at_ms > 0 then
      deadline_ms = math.min(deadline_ms, expires_at_ms)
    end
  end
  log.record(x, "Held", {
    command = command, name_at = name_at, name_size = name_size, deadline_ms = deadline_ms,
    not_before_ms = call[CALL.not_before_ms] or 0, expires_at_ms = expires_at_ms, rank = fairness.rank(x),
  })
end

-- by-framework's workers look an execution up by its message, in the session's registry, and keep
-- there what becomes of it. One that is there already, because it is resumed, stays.
local function register(x, registration, agent_type, stream)
  if registration == "" then
    return
  end
  local session = x.c.K.session
  -- Whatever else someone has at that key, it must not stop what has begun.
  local new = redis.pcall("HSETNX", session, "msg_map:" .. log.call_of(x)[CALL.message_id], x.id)
  if type(new) ~= "number" then
    return
  end
  if new == 1 then
    redis.call("HSET", session, "exec:" .. x.id, registration
      .. ',"target_agent_type":' .. documents.quoted(agent_type)
      .. ',"stream_name":' .. documents.quoted(stream) .. "}")
  end
  redis.call("PEXPIRE", session, SESSION_TTL_MS)
end

local function repeated(x, inbox, digest)
  if x.g ~= "?" and x.g ~= digest then -- "?": the head was rebuilt, and no event has the digest
    return answers.refused("CONFLICT", x.id)
  end
  if inbox ~= "" and inbox ~= x.i and ending.is_held(x) then -- repeated by another process
    x.i = inbox
    open_inbox(x, log.call_of(x)[CALL.timeout_ms])
    log.save(x)
  end
  return { x.x, x.w }
end

-- a: execution_id, call, before, name, after, digest, inbox, registration
function commands.request(c, a, keys)
  local execution_id, body, before, name, after, digest, inbox, registration = unpack(a)
  if redis.call("EXISTS", keys.head) == 1 then
    return repeated(log.load(c, execution_id, keys), inbox, digest)
  end
  local x = log.new(c, execution_id, keys)
  x.b, x.g = body, digest
  local call = log.call_of(x)
  local agent_type, policy = call[CALL.agent_type], call[CALL.policy]
  c.agent_type = agent_type
  local verdict = admission.admit(x)
  local status, code, reason, retry_after_ms, to = "REJECT", "", "", -1, agent_type
  if verdict.half_opens then
    breaker.half_open(c)
  end
  log.record(x, "Requested", { call = body, evidence = verdict.evidence, tat_us = verdict.tat_us })
  if verdict.code then
    code, reason, retry_after_ms = verdict.code, verdict.reason, verdict.retry_after_ms
    log.record(x, "Rejected", { code = code, reason = reason, retry_after_ms = retry_after_ms, by = "admission" })
  elseif verdict.how then
    to = verdict.agent_type
    x.command = before .. (to == agent_type and name or documents.quoted(to)) .. after
    register(x, registration, to, PREFIX.ctrl .. to)
    ending.deliver(x, verdict.how, to, "", {}, "admission")
    status = verdict.how == "FALLBACK" and "FALLBACK_TO_OTHER_AGENT_TYPE" or "DELIVER_NOW"
  else
    if inbox ~= "" then
      x.i = inbox
      open_inbox(x, call[CALL.timeout_ms])
    end
    register(x, registration, to, c.K.pending)
    hold(x, before .. name .. after, #before, #name)
    if verdict.wakes then
      waking.wake(x, verdict.permit_until_ms)
    end
    status = policy == "WAKE_AND_WAIT" and "WAITING" or "QUEUE_PENDING"
  end
  x.x = answers.receipt(execution_id, status, to, code, reason, retry_after_ms, c.last)
  if x.closed then
    x.b = "" -- nobody will ask what a settled call was; the log knows
  end
  log.save(x)
  return { x.x, "" }
end

commands.request_now = commands.request

-- a: agent_type, by, members...
function commands.release(c, a, _, members)
  local agent_type, by = a[1], a[2]
  local _, _, blocked = admission.circuit(c)
  if blocked or breaker.row(c).m == "PAUSED" or workers.seen(agent_type) == 0 then
    return answers.tally({ skipped = #a - 2 })
  end
  return ending.each(c, { unpack(a, 3) }, members, function(x)
    return ending.is_held(x) and not ending.is_late(x)
      and not (x.a ~= "" and redis.call("ZSCORE", c.K.delayed, x.id))
  end, function(x)
    -- Whoever waited for a wake got what it was to bring, so the wake succeeded.
    ending.deliver(x, "ONLINE", agent_type, x.e, {}, by)
    return "delivered"
  end)
end

-- a: agent_type, by, members...
function commands.sweep(c, a, _, members)
  return ending.each(c, { unpack(a, 3) }, members, function(x)
    return ending.is_held(x) and ending.is_late(x)
  end, function(x)
    return ending.expire(x, a[2])
  end)
end

-- a: agent_type, by, members...
function commands.mature(c, a, _, members)
  return ending.each(c, { unpack(a, 3) }, members, function(x)
    local not_before_ms = tonumber(redis.call("ZSCORE", c.K.delayed, x.id))
    return not_before_ms and not_before_ms <= clock.now(c)
  end, function(x)
    redis.call("ZREM", c.K.delayed, x.id)
    effects.enqueue(x)
    return "progressed"
  end)
end

local function outcome(x, changed)
  if x.s == "" then
    return answers.refused("UNKNOWN", x.id)
  end
  if changed then
    log.save(x)
  elseif x.w == "" then
    return answers.refused("ILLEGAL", x.id, x.state, "Rejected")
  end
  return x.w
end

-- a: execution_id, reason
function commands.give_up(c, a, keys)
  local x = log.load(c, a[1], keys)
  local held = ending.is_held(x)
  if held then
    ending.reject(x, "AGENT_TYPE_UNAVAILABLE", a[2], "caller", -1)
  end
  return outcome(x, held)
end

-- a: execution_id, reason, by
function commands.cancel(c, a, keys)
  local x = log.load(c, a[1], keys)
  local held = ending.is_held(x)
  if held then
    local reason = a[2] ~= "" and a[2] or SENTENCE.cancelled
    local waited_for, command = x.d ~= "", documents.command_of(x)
    log.record(x, "Rejected", { code = "EXECUTION_CANCELLED", reason = reason, retry_after_ms = -1, by = a[3] })
    if not waited_for then
      effects.resume_caller(x, command, reason)
    end
  end
  return outcome(x, held)
end

-- Returns why an execution cannot be redriven now, or nil; and the circuit's passage.
local function redrive_blocked(c, call, keys)
  local passage, _, blocked = admission.circuit(c)
  local row = breaker.row(c)
  if blocked then
    blocked = blocked ~= SENTENCE.circuit and string.format(SENTENCE.redrive_circuit, blocked) or blocked
  elseif row.m == "DRAINING" then
    blocked = row.mr ~= "" and string.format(SENTENCE.redrive_draining, row.mr) or SENTENCE.draining
  end
  if not blocked and call[CALL.user_code] ~= "" then
    blocked = admission.quota(c, keys, false).exceeded
  end
  return blocked, passage
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
  c.agent_type = agent_type
  local blocked, passage = redrive_blocked(c, call, keys)
  if blocked then
    return answers.refused("REDRIVE", x.id, "", "", blocked)
  end
  local running = breaker.row(c).m == "RUNNING"
  local online = running and workers.seen(agent_type) > 0
  local name_at, name_size = tonumber(x.n), tonumber(x.z)
  log.record(x, "Redriven", { by = a[2] })
  log.record(x, "Held", {
    command = command, name_at = name_at, name_size = name_size, deadline_ms = 0,
    not_before_ms = 0, expires_at_ms = 0, rank = fairness.rank(x),
  })
  local status = "QUEUE_PENDING"
  if online then
    ending.deliver(x, "ONLINE", agent_type, "", {}, a[2])
    status = "DELIVER_NOW"
  elseif running and WAKING_POLICIES[call[CALL.policy]] and passage.may_wake then
    if passage.half_opens then
      breaker.half_open(c)
    end
    waking.wake(x, passage.permit_until_ms)
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
    if field == "evidence" then
      values.tat_us = value[EVIDENCE.rate_tat_us]
    end
  end
  if name == "Requested" then
    x.b = values.call
  end
  c.agent_type = log.call_of(x)[CALL.agent_type]
  log.record(x, name, values)
  log.save(x)
  return answers.recorded(c.last, x.version)
end

-- a: agent_type, event's name, its own fields (msgpack array)
function commands.configure(c, a)
  local name, values = a[2], {}
  for i, value in ipairs(cmsgpack.unpack(a[3])) do
    values[FIELDS[name][i]] = value
  end
  if name == "FallbackSet" and not settings.leads_somewhere(values) then
    local reason = string.format(SENTENCE.fallback_circle, values.agent_type, values.selected, FALLBACKS_MAX)
    return answers.refused("FALLBACK", "", "", "", reason)
  end
  return answers.recorded(log.record_system(c, name, values), 0)
end

-- Past admission, and not in the log: a path for debugging.
-- a: command, "1" to look at the lease first
function commands.send_to_worker(c, a)
  if a[2] == "1" and not workers.lease_lives(redis.call("MGET", c.K.lease)[1]) then
    return answers.recorded("", 0)
  end
  return answers.recorded(redis.call("XADD", c.K.worker_ctrl, "*", "data", a[1]), 0)
end

-- Move an entry out of a stream into quarantine, if it is still there. Not in the log.
-- a: entry's id, length_max, fields and values...
function commands.set_aside(c, a)
  if redis.call("XDEL", c.K.stream, a[1]) == 0 then
    return answers.recorded("", 0)
  end
  local position = redis.call("XADD", c.K.quarantine, "MAXLEN", "~", a[2], "*", unpack(a, 3))
  return answers.recorded(position, 0)
end

-- Acknowledge and delete a stream's entry, if it is still this consumer's. Not in the log.
-- a: group, consumer, entry's id
function commands.finish(c, a)
  local owned = redis.call("XPENDING", c.K.stream, a[1], a[3], a[3], 1, a[2])
  if #owned == 0 then
    return answers.recorded("", 0)
  end
  redis.call("XACK", c.K.stream, a[1], a[3])
  redis.call("XDEL", c.K.stream, a[3])
  return answers.recorded(a[3], 0)
end

-- Put a quarantined entry back into the stream that it came from, `data` replaced if it is given,
-- or, with "drop", remove it. The answer's position is "" if it was not there.
-- a: entry's id, "drop" or "reinject", data
function commands.requite(c, a)
  local entry = redis.call("XRANGE", c.K.quarantine, a[1], a[1])[1]
  if not entry then
    return answers.recorded("", 0)
  end
  local position = a[1]
  if a[2] == "reinject" then
    local again = {}
    for i = 1, #entry[2], 2 do
      local name, value = entry[2][i], entry[2][i + 1]
      if name ~= "by-cp:from" and name ~= "by-cp:reason" then
        again[#again + 1] = name
        again[#again + 1] = name == "data" and a[3] ~= "" and a[3] or value
      end
    end
    position = redis.call("XADD", c.K.stream, "*", unpack(again))
  end
  redis.call("XDEL", c.K.quarantine, a[1])
  return answers.recorded(position, 0)
end

local function netstring(parts, text)
  parts[#parts + 1] = #text .. ":" .. text .. ","
end

-- Take over the entries of a stream's consumer that is gone: its lease has lapsed. Not in the log.
-- The answer is the entries as netstrings (<https://cr.yp.to/proto/netstrings.txt>), for they may
-- hold any bytes: of each its id, how many fields and values follow, and these.
-- a: group, the consumer that is gone, who takes over, count
function commands.take_over(c, a)
  local group, gone, taker, count = unpack(a)
  local taken = {}
  if redis.call("EXISTS", c.K.lease) == 0 then
    local ids = {}
    for _, entry in ipairs(redis.call("XPENDING", c.K.stream, group, "-", "+", count, gone)) do
      ids[#ids + 1] = entry[1]
    end
    if #ids > 0 then
      for _, entry in ipairs(redis.call("XCLAIM", c.K.stream, group, taker, 0, unpack(ids))) do
        if entry and entry[2] then -- else it was deleted meanwhile
          netstring(taken, entry[1])
          netstring(taken, tostring(#entry[2]))
          for _, part in ipairs(entry[2]) do
            netstring(taken, part)
          end
        end
      end
    end
    if #ids < tonumber(count) then
      redis.call("XGROUP", "DELCONSUMER", c.K.stream, group, gone)
    end
  end
  return table.concat(taken)
end
