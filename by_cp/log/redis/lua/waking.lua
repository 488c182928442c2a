-- What is decided about wakes: who leads, who joins, which attempt is the latest, how it came out.
-- by_cp/log/memory/waking.py is the same in Python.
--
-- A group's claim is a hash: w the wake, l its leader, u until when, t the epoch of its latest
-- attempt, n that attempt's number, p the row's position. When the wake has come out, `z` says until
-- when its last attempt may go on telling it; for everyone else the claim is gone.

-- The group's claim, as the view has it: nil when no wake is under way.
local function claim_of(key)
  local found = redis.call("HMGET", key, "w", "l", "u", "t", "n", "z")
  if not found[1] then
    return nil, nil
  end
  local claim = { w = found[1], l = found[2], u = tonumber(found[3]), t = found[4], n = tonumber(found[5]) }
  if found[6] then
    return nil, { t = found[4], z = tonumber(found[6]) }
  end
  return claim, nil
end

function waking.wake(x, permit_until_ms)
  local c = x.c
  local claim = claim_of(x.keys.wake)
  if claim and claim.u > clock.now(c) then
    log.record(x, "WakeRequested", { epoch = claim.w, leader = claim.l, until_ms = 0, permit_until_ms = 0 })
  else
    local until_ms = clock.now(c) + math.max(log.call_of(x)[CALL.timeout_ms], ATTEMPT_MS_MIN)
    log.record(x, "WakeRequested", { epoch = "", leader = "", until_ms = until_ms, permit_until_ms = permit_until_ms or 0 })
  end
end

local function waits_in(x, group)
  if x.state ~= "WAKING" then
    return false
  end
  local call = log.call_of(x)
  return call[CALL.agent_type] == group.agent_type and call[CALL.user_code] == group.user_code
    and call[CALL.region] == group.region
end

local function wake_ended(c, group, claim, status, reason, by)
  log.record_system(c, "WakeEnded", {
    agent_type = group.agent_type, user_code = group.user_code, region = group.region,
    wake = claim.w, epoch = claim.t, status = status, reason = reason, by = by,
  })
end

-- a: agent_type, user_code, region, wake, lasts_ms, reason, by, members...
function commands.attempt(c, a, keys, members)
  local group = { agent_type = a[1], user_code = a[2], region = a[3] }
  local wake = a[4]
  local claim = claim_of(keys.wake)
  if claim and claim.w ~= wake then
    return answers.attempted("", 0, "SUPERSEDED")
  end
  for i = 8, #a do
    local x = log.load(c, a[i], members[i - 7])
    if waits_in(x, group) then
      local until_ms = clock.now(c) + math.max(tonumber(a[5]), ATTEMPT_MS_MIN)
      local number = claim and claim.n + 1 or 1
      local epoch = log.record(x, "WakeAttempted", { wake = wake, attempt = number, until_ms = until_ms, reason = a[6], by = a[7] })
      log.save(x)
      return answers.attempted(epoch, number, "")
    end
  end
  if claim then
    wake_ended(c, group, claim, "ABANDONED", "", a[7])
  end
  return answers.attempted("", 0, "NOBODY")
end

local function settle_one(x, s)
  if s.status == "READY" or s.status == "FALLBACK" then
    if ending.is_late(x) then
      return ending.expire(x, s.by)
    end
    x.worker_ids = s.worker_ids
    if s.status == "READY" then
      ending.deliver(x, "WAKE", s.agent_type, s.epoch, s.worker_ids, s.by)
    else
      ending.deliver(x, "FALLBACK", s.selected, s.epoch, s.worker_ids, s.by)
    end
    return "delivered"
  elseif s.status == "STARTING" or s.status == "QUEUED" then
    log.record(x, "WakeProgressed", { status = s.status, reason = s.reason, by = s.by })
    return "progressed"
  elseif s.status == "REJECTED" then
    local reason = s.reason ~= "" and s.reason or string.format(SENTENCE.rejected, s.agent_type)
    return ending.reject(x, "AGENT_TYPE_UNAVAILABLE", reason, s.by, s.retry_after_ms)
  end
  local reason = s.reason ~= "" and s.reason or string.format(SENTENCE.failed, s.agent_type)
  ending.fail(x, reason, s.epoch, s.by)
  return "dead_lettered"
end

-- a: agent_type, user_code, region, epoch, status, selected, reason, retry_after_ms, worker_ids
--    (msgpack), by, members...
function commands.settle(c, a, keys, members)
  local s = {
    agent_type = a[1], user_code = a[2], region = a[3], epoch = a[4], status = a[5], selected = a[6],
    reason = a[7], retry_after_ms = tonumber(a[8]), worker_ids = cmsgpack.unpack(a[9]), by = a[10],
  }
  local final = s.status ~= "STARTING" and s.status ~= "QUEUED"
  local claim, ended = claim_of(keys.wake)
  local current = claim and claim.t == s.epoch
    or final and ended and ended.t == s.epoch and clock.now(c) < ended.z
  if not current then
    return answers.tally({ skipped = #a - 10 })
  end
  if s.status == "FALLBACK" then
    if s.selected == "" then
      s.status, s.reason = "FAILED", SENTENCE.fallback_empty
    elseif workers.seen(s.selected) == 0 then
      s.status, s.reason = "FAILED", string.format(SENTENCE.fallback_offline, s.selected)
    end
  end
  if final and claim then
    wake_ended(c, s, claim, s.status, s.reason, s.by)
  end
  local paused = s.status == "READY" and breaker.row(c).m == "PAUSED"
  return ending.each(c, { unpack(a, 11) }, members, function(x)
    return not paused and ending.is_held(x) and waits_in(x, s)
  end, function(x)
    return settle_one(x, s)
  end)
end

-- Whether a held command should wait for a wake and waits for none, or for a lost one.
local function needs_wake(x)
  local now = clock.now(x.c)
  if not ending.is_held(x) or not WAKING_POLICIES[log.call_of(x)[CALL.policy]] or ending.is_late(x) then
    return false
  end
  if x.a ~= "" and redis.call("ZSCORE", x.c.K.delayed, x.id) then
    return false
  end
  if x.state == "REQUESTED" then
    return true
  end
  local claim, ended = claim_of(x.keys.wake)
  if claim then
    return claim.u + ROUSE_GRACE_MS <= now
  end
  return not ended or ended.z <= now
end

-- a: agent_type, by, members...
function commands.rouse(c, a, _, members)
  local passage, _, blocked = admission.circuit(c)
  if breaker.row(c).m ~= "RUNNING" or blocked or workers.seen(a[1]) > 0 then
    return answers.tally({ skipped = #a - 2 })
  end
  local half_opens = passage.half_opens
  return ending.each(c, { unpack(a, 3) }, members, function(x)
    if not needs_wake(x) then
      return false
    end
    passage = breaker.passage(c)
    local claim = claim_of(x.keys.wake)
    return passage.may_wake or (claim and claim.u > clock.now(c))
  end, function(x)
    if half_opens then
      breaker.half_open(c)
      half_opens = false
    end
    waking.wake(x, passage.permit_until_ms)
    return "progressed"
  end)
end
