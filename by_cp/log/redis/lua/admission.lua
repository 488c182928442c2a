-- Admission: what becomes of a request, in by-framework's order. by_cp/log/admission.py is the
-- same law in Python.

local function evidence(v)
  return "\153" .. cmsgpack.pack(v.circuit or "", v.used or -1, v.limit or -1, v.online or -1, v.registered or -1,
    v.maintenance or "", v.depth or -1, v.depth_max or -1, v.tat_us or -1)
end

-- Returns the passage, the evidence of the circuit and, when nothing is let through, the reason.
function admission.circuit(c)
  local passage = breaker.passage(c)
  if passage.state == "OPEN" then
    return passage, "OPEN", passage.reason
  end
  local document = documents.foreign(documents.text(c, c.K.circuit_doc))
  if type(document.state) == "string" and string.upper(document.state) == "OPEN" then
    return passage, "FOREIGN", documents.reason(document, SENTENCE.circuit)
  end
  return passage, passage.state, nil
end

-- GCRA, in whole microseconds. Returns the new TAT (-1: no limit) and when to try again (0: now).
local function rate(now_ms, count, period_ms, burst, tat_us)
  if count == 0 then
    return -1, 0
  end
  local now_us = now_ms * 1000
  local interval_us = math.max(1, math.floor(period_ms * 1000 / count))
  local tat = math.max(tat_us, now_us) + interval_us
  local early_us = tat - now_us - interval_us * burst
  return tat, early_us <= 0 and 0 or math.floor((early_us + 999) / 1000)
end

-- Returns {used, limit, depth_max, tat_us, exceeded, retry_after_ms}.
function admission.quota(c, keys, rated)
  local row = redis.call("HMGET", keys.quota, "l", "rc", "rp", "rb", "t", "d")
  local limit, depth_max = tonumber(row[1]) or -1, tonumber(row[6]) or -1
  local used
  if limit == -1 and depth_max == -1 then
    used = redis.call("ZCARD", keys.leases)
  else
    used = redis.call("ZCOUNT", keys.leases, string.format("(%.0f", clock.now(c)), "+inf")
  end
  local quota = { used = used, limit = limit, depth_max = depth_max, tat_us = -1, retry_after_ms = -1 }
  if limit ~= -1 and used >= limit then
    quota.exceeded, quota.retry_after_ms = string.format(SENTENCE.quota_used, used, limit), RETRY_HINT_MS
    return quota
  end
  for _, key in ipairs({ keys.quota_doc, keys.quota_user_doc }) do
    local document = documents.foreign(documents.text(c, key))
    if document.available == false then
      quota.exceeded = documents.reason(document, SENTENCE.quota)
      return quota
    end
  end
  local count = rated and tonumber(row[2]) or 0
  if count ~= 0 then
    local period_ms = tonumber(row[3])
    local tat_us, retry_after_ms = rate(clock.now(c), count, period_ms, tonumber(row[4]), tonumber(row[5]) or 0)
    if retry_after_ms > 0 then
      quota.exceeded, quota.retry_after_ms = string.format(SENTENCE.rate_used, count, period_ms), retry_after_ms
      return quota
    end
    quota.tat_us = tat_us
  end
  return quota
end

local function fallback_of(c, agent_type)
  local own = agent_type == c.agent_type
  local selected = redis.call("HGET", own and c.K.fallback or PREFIX.view_fallback .. agent_type, "t")
  if selected and selected ~= "" then
    return selected
  end
  local document = documents.foreign(documents.text(c, own and c.K.fallback_doc or PREFIX.fallback_doc .. agent_type))
  for _, field in ipairs(FALLBACK_FIELDS) do
    local name = document[field]
    if type(name) == "string" and name ~= "" then
      return #name <= NAME_BYTES_MAX and name or ""
    end
  end
  return ""
end

-- Follow the chain of fallbacks to the first that is online and not paused; "" if none is.
local function online_fallback(c)
  local met, length = { [c.agent_type] = true }, 1
  local selected = fallback_of(c, c.agent_type)
  while selected ~= "" and not met[selected] and length <= FALLBACKS_MAX do
    local mode = redis.call("HGET", PREFIX.view_circuit .. selected, "m") or "RUNNING"
    if mode == "RUNNING" and workers.seen(selected) > 0 then
      return selected
    end
    met[selected], length = true, length + 1
    selected = fallback_of(c, selected)
  end
  return ""
end

local function rejected(code, reason, retry_after_ms)
  return { code = code, reason = reason, retry_after_ms = retry_after_ms or -1 }
end

-- Hold it, unless there is no room.
local function held(c, quota, v)
  local depth_max = breaker.row(c).dl
  if depth_max ~= -1 then
    v.depth, v.depth_max = tonumber(redis.call("HGET", c.K.depth, c.agent_type)) or 0, depth_max
    if v.depth >= depth_max then
      return rejected("AGENT_QUEUE_FULL", string.format(SENTENCE.queue_full, c.agent_type, v.depth, depth_max), RETRY_HINT_MS)
    end
  end
  if quota.depth_max ~= -1 and quota.used >= quota.depth_max then
    return rejected("TENANT_QUOTA_EXCEEDED", string.format(SENTENCE.depth_used, quota.used, quota.depth_max), RETRY_HINT_MS)
  end
  return {}
end

local function nobody_there(c, policy, passage, circuit, quota, row, v)
  local cannot_wait = policy == "FAIL_FAST" or policy == "SEND_ANYWAY"
  if row.m == "DRAINING" then
    return rejected("AGENT_DRAINING", row.mr ~= "" and row.mr or SENTENCE.draining)
  elseif row.m == "PAUSED" and cannot_wait then
    return rejected("AGENT_PAUSED", row.mr ~= "" and row.mr or SENTENCE.paused)
  elseif policy == "FAIL_FAST" then
    return rejected("AGENT_TYPE_UNAVAILABLE", string.format(SENTENCE.offline, c.agent_type))
  end
  local wakes = row.m == "RUNNING" and WAKING_POLICIES[policy]
  if circuit == "HALF_OPEN" and (policy == "SEND_ANYWAY" or (wakes and not passage.may_wake)) then
    return rejected("AGENT_CIRCUIT_OPEN", SENTENCE.probing, passage.retry_after_ms)
  end
  local verdict = held(c, quota, v)
  if not verdict.code then
    verdict.wakes, verdict.permit_until_ms = wakes, passage.permit_until_ms
  end
  return verdict
end

local function decided(x, passage, circuit, blocked, v)
  local c, call = x.c, log.call_of(x)
  local policy = call[CALL.policy]
  if blocked then
    return rejected("AGENT_CIRCUIT_OPEN", blocked, circuit == "OPEN" and passage.retry_after_ms or -1)
  end
  local quota = { used = -1, limit = -1, depth_max = -1, tat_us = -1 }
  if call[CALL.user_code] ~= "" then
    quota = admission.quota(c, x.keys, true)
  end
  v.used, v.limit, v.tat_us = quota.used, quota.limit, quota.tat_us
  if quota.exceeded then
    return rejected("TENANT_QUOTA_EXCEEDED", quota.exceeded, quota.retry_after_ms)
  end
  local row = breaker.row(c)
  if row.m ~= "RUNNING" then
    v.maintenance = row.m
  end
  local not_before_ms = call[CALL.not_before_ms] or 0
  if not_before_ms > 0 and not_before_ms > clock.now(c) and row.m ~= "DRAINING" then
    return held(c, quota, v)
  end
  if row.m == "RUNNING" then
    if policy == "SEND_ANYWAY" and circuit == "CLOSED" then
      return { how = "SEND_ANYWAY", agent_type = c.agent_type }
    end
    v.online, v.registered = workers.seen(c.agent_type)
    if v.online > 0 then
      return { how = "ONLINE", agent_type = c.agent_type }
    end
  end
  local selected = online_fallback(c)
  if selected ~= "" then
    return { how = "FALLBACK", agent_type = selected }
  end
  return nobody_there(c, policy, passage, circuit, quota, row, v)
end

-- Returns a verdict: {how, agent_type}, or {code, reason, retry_after_ms}, or neither: hold it, and
-- wake if {wakes}. With it {evidence, tat_us, half_opens, permit_until_ms}.
function admission.admit(x)
  local c = x.c
  local expires_at_ms = log.call_of(x)[CALL.expires_at_ms] or 0
  if expires_at_ms > 0 and expires_at_ms <= clock.now(c) then
    local verdict = rejected("COMMAND_EXPIRED", SENTENCE.expired)
    verdict.evidence = evidence({})
    return verdict
  end
  documents.read_ahead(c, { c.K.circuit_doc, c.K.fallback_doc, x.keys.quota_doc, x.keys.quota_user_doc })
  local v = {}
  local passage, circuit, blocked = admission.circuit(c)
  v.circuit = circuit
  local verdict = decided(x, passage, circuit, blocked, v)
  if verdict.code then
    v.tat_us = -1
  end
  verdict.evidence, verdict.tat_us, verdict.half_opens = evidence(v), v.tat_us or -1, passage.half_opens
  return verdict
end
