-- The log: loading and saving heads, and the one door through which an event comes in (`record`).
--
-- A call `c` is {K = key name -> key, stamp = id for XADD, cause = call id, retention_ms}; what it
-- has read once of the agent type's rows it keeps. An execution `x` is its
-- head, read once and written once, by `save`. Nothing here decides anything.

-- Heads have one-letter fields: there is one hash an execution. Absent is the empty string.
local HEAD = {
  "s", -- state
  "v", -- version
  "p", -- positions of its events, joined by commas
  "b", -- the Call, as the client encoded it
  "h", -- position of its Held, while its command is in pending
  "q", -- id of the entry, in pending or in the dead letters, that has the command
  "k", -- how many bytes of that entry's document stand before the command; 0: it has none
  "n", -- name_at
  "z", -- name_size
  "d", -- deadline_ms
  "y", -- expires_at_ms
  "a", -- not_before_ms
  "r", -- rank
  "u", -- 1 while the tenant is charged for it
  "e", -- epoch of the wake it waits for
  "j", -- position of the WakeRequested with which it joined
  "i", -- inbox of the process that waits
  "x", -- the receipt that was answered
  "w", -- the outcome that was told
  "g", -- digest of the request; "?" when the head was rebuilt, for no event has it
}

local ABSENT = {}

-- An execution that begins with this call.
function log.new(c, execution_id, keys)
  if not ABSENT.__index then
    local none = {}
    for i = 1, #HEAD do
      none[HEAD[i]] = ""
    end
    ABSENT.__index = none
  end
  return setmetatable({ id = execution_id, keys = keys, c = c, had = {}, state = "", version = 0 }, ABSENT)
end

function log.load(c, execution_id, keys)
  local x = log.new(c, execution_id, keys)
  local fields = redis.call("HMGET", keys.head, unpack(HEAD))
  for i = 1, #HEAD do
    if fields[i] then
      x[HEAD[i]], x.had[i] = fields[i], fields[i]
    end
  end
  x.state = x.s
  x.version = tonumber(x.v) or 0
  return x
end

-- The Call of an execution, by the names of its fields' places: x_call[CALL.agent_type].
function log.call_of(x)
  if not x.call then
    if x.b == "" then -- settled at once: only its first event still has it
      local first = string.match(x.p, "^[^,]+")
      local entry = redis.call("XRANGE", x.c.K.log, first, first)[1]
      x.call = cmsgpack.unpack(entry[2][2])[REQUESTED_CALL]
      x.b = cmsgpack.pack(x.call)
    else
      x.call = cmsgpack.unpack(x.b)
    end
  end
  return x.call
end

function log.save(x)
  local fields, stale, n = {}, nil, 0
  local existed, had = x.s ~= "", x.had
  x.s, x.v = x.state, tostring(x.version)
  for i = 1, #HEAD do
    local name = HEAD[i]
    local value = x[name]
    if value == "" then
      if had[i] then
        stale = stale or {}
        stale[#stale + 1] = name
      end
    elseif value ~= had[i] then
      fields[n + 1], fields[n + 2] = name, value
      n = n + 2
    end
  end
  if n > 0 then
    redis.call("HSET", x.keys.head, unpack(fields))
  end
  if stale then
    redis.call("HDEL", x.keys.head, unpack(stale))
  end
  if x.closed then
    redis.call("PEXPIRE", x.keys.head, x.c.retention_ms)
  elseif existed then
    redis.call("PERSIST", x.keys.head)
  end
end

-- A position as a text that sorts in the order of the log.
function log.sort_key(position)
  local ms, seq = string.match(position, "^(%d+)-(%d+)$")
  return string.format("%013.0f-%010.0f", tonumber(ms), tonumber(seq))
end

function log.allowed(x, name)
  return TABLE[name] and TABLE[name][x.state]
end

-- Append one event of an execution and let its effects happen. `values` are the event's own
-- fields by name. The caller has checked everything: an error here would roll nothing back.
function log.record(x, name, values)
  local step = TABLE[name][x.state]
  local c = x.c
  x.version = x.version + 1
  local data = ENCODE[name](x.id, x.version, c.cause, values)
  local position = redis.call("XADD", c.K.log, c.stamp, "e", data)
  x.p = x.p == "" and position or (x.p .. "," .. position)
  x.state = step[1]
  x.was_held = x.h ~= ""
  c.last = position
  for _, effect in ipairs(step[2]) do
    effects[effect](x, values, position)
  end
  return position
end

-- Append one system event and let what it says happen.
function log.record_system(c, name, values)
  local position = redis.call("XADD", c.K.log, c.stamp, "e", ENCODE[name](c.cause, values))
  c.last = position
  settings[name](c, values, position)
  return position
end
