-- The circuit breaker: what is decided on the circuit view. by_cp/log/breaker.py says the same.
--
-- One hash an agent type holds three rows, for admission to read in one go: the circuit's, what
-- operators said of the agent type (m, mr, dl, mp), and its circuit policy (cf, cw, co, cn, ct, cp).

local ROW = {
  "s", -- state
  "r", -- reason
  "u", -- until_ms
  "x", -- 1: forced
  "b", -- permits: wake=until_ms, joined by commas
  "f", -- failures since the last success
  "e", -- epoch of the last failure
  "o", -- opens
  "k", -- struck_ms, joined by commas
  "m", -- mode: RUNNING, PAUSED, DRAINING
  "mr", -- why
  "dl", -- depth_max
}
local POLICY = { "cf", "cw", "co", "cn", "ct" }

-- The row, read once a call. Whoever changes it, changes both, by `set`.
function breaker.row(c)
  if not c.circuit then
    local found = redis.call("HMGET", c.K.circuit, unpack(ROW))
    c.circuit = {
      s = found[1] or "CLOSED", r = found[2] or "", u = tonumber(found[3]) or 0, x = found[4] == "1",
      b = found[5] or "", f = tonumber(found[6]) or 0, e = found[7] or "", o = tonumber(found[8]) or 0,
      k = found[9] or "", m = found[10] or "RUNNING", mr = found[11] or "", dl = tonumber(found[12]) or -1,
    }
  end
  return c.circuit
end

-- Write fields of the circuit's row; numbers are whole, x is a boolean.
function breaker.set(c, position, fields)
  local row = breaker.row(c)
  local pairs_ = { "p", position }
  for i = 1, #ROW do
    local name = ROW[i]
    local value = fields[name]
    if value ~= nil then
      row[name] = value
      if type(value) == "number" then
        value = string.format("%.0f", value)
      elseif type(value) == "boolean" then
        value = value and "1" or "0"
      end
      pairs_[#pairs_ + 1] = name
      pairs_[#pairs_ + 1] = value
    end
  end
  redis.call("HSET", c.K.circuit, unpack(pairs_))
end

local function policy_of(c)
  local found = redis.call("HMGET", c.K.circuit, unpack(POLICY))
  if not found[1] then
    found = redis.call("HMGET", c.K.circuit_default, unpack(POLICY))
  end
  return {
    failures_max = tonumber(found[1]) or CIRCUIT_POLICY.failures_max,
    window_ms = tonumber(found[2]) or CIRCUIT_POLICY.window_ms,
    open_ms = tonumber(found[3]) or CIRCUIT_POLICY.open_ms,
    probes_max = tonumber(found[4]) or CIRCUIT_POLICY.probes_max,
    probe_ms = tonumber(found[5]) or CIRCUIT_POLICY.probe_ms,
  }
end

local function permits_of(row)
  local permits = {}
  for wake, until_ms in string.gmatch(row.b, "([^=,]+)=(%d+)") do
    permits[#permits + 1] = { wake = wake, until_ms = tonumber(until_ms) }
  end
  return permits
end

-- Returns {state, reason, retry_after_ms, permit_until_ms, half_opens, may_wake}.
function breaker.passage(c)
  local row = breaker.row(c)
  if row.s == "CLOSED" then
    return { state = "CLOSED", retry_after_ms = -1, permit_until_ms = 0, may_wake = true }
  end
  local reason = row.r ~= "" and row.r or SENTENCE.circuit
  if row.x then
    return { state = "OPEN", reason = reason, retry_after_ms = -1, permit_until_ms = 0 }
  end
  local now = clock.now(c)
  if row.s == "OPEN" and now < row.u then
    return { state = "OPEN", reason = reason, retry_after_ms = row.u - now, permit_until_ms = 0 }
  end
  local policy = policy_of(c)
  local half_opens = row.s == "OPEN"
  local taken, first = 0, nil
  for _, permit in ipairs(permits_of(row)) do
    if permit.until_ms > now then
      taken = taken + 1
      first = math.min(first or permit.until_ms, permit.until_ms)
    end
  end
  if taken < policy.probes_max then
    local until_ms = now + policy.probe_ms
    return { state = "HALF_OPEN", retry_after_ms = -1, permit_until_ms = until_ms, half_opens = half_opens, may_wake = true }
  end
  return { state = "HALF_OPEN", retry_after_ms = first and first - now or -1, permit_until_ms = 0, half_opens = half_opens }
end

function breaker.take_permit(c, wake, until_ms, position)
  local row = breaker.row(c)
  local permit = wake .. "=" .. string.format("%.0f", until_ms)
  breaker.set(c, position, { b = row.b == "" and permit or row.b .. "," .. permit })
end

function breaker.give_permit_back(c, wake, position)
  local row = breaker.row(c)
  local kept, found = {}, false
  for _, permit in ipairs(permits_of(row)) do
    if permit.wake == wake then
      found = true
    else
      kept[#kept + 1] = permit.wake .. "=" .. string.format("%.0f", permit.until_ms)
    end
  end
  if found then
    breaker.set(c, position, { b = table.concat(kept, ",") })
  end
end

-- Count a failed wake, once an epoch.
function breaker.strike(c, epoch, position)
  local row = breaker.row(c)
  if row.e == epoch then
    return
  end
  local times = {}
  for ms in string.gmatch(row.k, "%d+") do
    times[#times + 1] = ms
  end
  times[#times + 1] = string.match(position, "^%d+")
  local kept = table.concat(times, ",", math.max(1, #times - STRIKES_MAX + 1))
  breaker.set(c, position, { f = row.f + 1, e = epoch, k = kept })
end

function breaker.heal(c, position)
  if breaker.row(c).f > 0 then
    breaker.set(c, position, { f = 0, k = "" })
  end
end

-- After a success that proves that the agent type can be reached.
function breaker.succeeded(c, how)
  local row = breaker.row(c)
  if row.s ~= "CLOSED" and not row.x then
    log.record_system(c, "CircuitClosed", { agent_type = c.agent_type, reason = string.format(SENTENCE.healed, how) })
  end
end

-- After a strike.
function breaker.failed(c, reason)
  local row = breaker.row(c)
  if row.x or row.s == "OPEN" then
    return
  end
  local policy = policy_of(c)
  if policy.failures_max == 0 then
    return
  end
  local now, recent = clock.now(c), 0
  for ms in string.gmatch(row.k, "%d+") do
    if tonumber(ms) > now - policy.window_ms then
      recent = recent + 1
    end
  end
  if row.s == "CLOSED" and recent < policy.failures_max then
    return
  end
  local open_ms = policy.open_ms * 2 ^ math.min(row.o, OPEN_DOUBLINGS_MAX)
  log.record_system(c, "CircuitOpened", { agent_type = c.agent_type, until_ms = now + open_ms, failures = recent, reason = reason })
end

function breaker.half_open(c)
  log.record_system(c, "CircuitHalfOpened", { agent_type = c.agent_type })
end
