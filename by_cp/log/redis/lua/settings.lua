-- What each system event does on the server, called by `log.record_system`. The handlers in
-- by_cp/projections say the same of the views.

local function ours(fields)
  return "{" .. fields .. ',"by":"' .. OURS .. '"}'
end

-- What opened by itself is said for as long as it is open: while it is said, no call of a
-- by-framework client comes here that could end it.
local function mirror_circuit(c)
  local row = breaker.row(c)
  local text, lasts_ms
  if row.s == "OPEN" then
    lasts_ms = row.u > 0 and math.max(row.u - clock.now(c), 1) or nil
    local reason = row.r ~= "" and row.r or SENTENCE.circuit
    text = ours('"state":"OPEN","reason":' .. documents.quoted(reason))
  end
  documents.mirror(c.K.circuit_doc, text, lasts_ms)
end

function settings.WakeEnded(c, e, position)
  if redis.call("HGET", c.K.wake, "t") == e.epoch then
    redis.call("HSET", c.K.wake, "z", string.format("%.0f", clock.now(c) + ENDED_MS))
    redis.call("PEXPIRE", c.K.wake, ENDED_MS)
    redis.call("DEL", c.K.dedupe)
  end
  breaker.give_permit_back(c, e.wake, position)
end

function settings.CircuitForced(c, e, position)
  local forced = e.state ~= "AUTO"
  breaker.set(c, position, { s = forced and e.state or "CLOSED", r = e.reason, x = forced, f = 0, u = 0, o = 0, k = "", b = "" })
  mirror_circuit(c)
end

function settings.CircuitOpened(c, e, position)
  breaker.set(c, position, { s = "OPEN", r = e.reason, u = e.until_ms, o = breaker.row(c).o + 1, b = "" })
  mirror_circuit(c)
end

function settings.CircuitHalfOpened(c, _, position)
  breaker.set(c, position, { s = "HALF_OPEN" })
  mirror_circuit(c)
end

function settings.CircuitClosed(c, _, position)
  breaker.set(c, position, { s = "CLOSED", r = "", f = 0, u = 0, o = 0, k = "", b = "" })
  mirror_circuit(c)
end

function settings.CircuitPolicySet(c, e, position)
  redis.call("HSET", c.K.circuit, "cf", e.failures_max, "cw", e.window_ms, "co", e.open_ms,
    "cn", e.probes_max, "ct", e.probe_ms, "cp", position)
end

function settings.QuotaSet(c, e, position)
  redis.call("HSET", c.K.quota, "l", string.format("%.0f", e.limit), "p", position)
  local used = redis.call("ZCARD", c.K.leases)
  local text
  if e.limit >= 0 and used >= e.limit then
    local reason = string.format(SENTENCE.quota_used, used, e.limit)
    text = ours('"available":false,"reason":' .. documents.quoted(reason))
  end
  documents.mirror(c.K.quota_doc, text)
  documents.mirror(c.K.quota_user_doc, text)
end

function settings.RateSet(c, e, position)
  redis.call("HSET", c.K.quota, "rc", e.count, "rp", e.period_ms, "rb", e.burst, "p", position)
end

function settings.DepthSet(c, e, position)
  redis.call("HSET", c.K.circuit, "dl", e.depth_max, "mp", position)
end

function settings.TenantDepthSet(c, e, position)
  redis.call("HSET", c.K.quota, "d", e.depth_max, "p", position)
end

function settings.FallbackSet(c, e, position)
  redis.call("HSET", c.K.fallback, "t", e.selected, "p", position)
  local text
  if e.selected ~= "" then
    text = ours('"selected_agent_type":' .. documents.quoted(e.selected))
  end
  documents.mirror(c.K.fallback_doc, text)
end

-- Whether the chain of fallbacks from here comes to an end, soon enough.
function settings.leads_somewhere(e)
  local length, name = 0, e.selected
  while name and name ~= "" do
    length = length + 1
    if name == e.agent_type or length > FALLBACKS_MAX then
      return false
    end
    name = redis.call("HGET", PREFIX.view_fallback .. name, "t")
  end
  return true
end

function settings.AgentPaused(c, e, position)
  redis.call("HSET", c.K.circuit, "m", "PAUSED", "mr", e.reason, "mp", position)
end

function settings.AgentDraining(c, e, position)
  redis.call("HSET", c.K.circuit, "m", "DRAINING", "mr", e.reason, "mp", position)
end

function settings.AgentResumed(c, _, position)
  redis.call("HSET", c.K.circuit, "m", "RUNNING", "mr", "", "mp", position)
end
