-- The library's one function. KEYS and ARGV:
--
--   KEYS  those of the command's layout, then those of each member, as by_cp/log/redis/layout.py
--         declares them (LAYOUT and EXECUTION_KEYS here)
--   ARGV  1 command  2 now in ms, "" for the server's clock  3 call id  4 retention in ms
--         5... the command's own arguments
--   reply msgpack, see answers.lua; `request` replies two: the receipt, and the outcome or ""
--   log   the events that commands.lua records
--
-- by_cp/log/redis/layout.py says which members have other keys (MEMBER_KEYS). What only looks at rows
-- or puts them back (inspection.lua) replies as it says there, and appends nothing.
--
-- A call that is not a request is answered from `call:{id}` when it comes a second time.

local ANSWER_MS = 600000

local function named(keys, first, names)
  local found = {}
  for i, name in ipairs(names) do
    found[name] = keys[first + i - 1]
  end
  return found, first + #names
end

local function call(KEYS, ARGV)
  local name = ARGV[1]
  local K, after = named(KEYS, 1, LAYOUT[name])
  local keys = K
  local members = {}
  local of_member = MEMBER_KEYS[name] or EXECUTION_KEYS
  while after <= #KEYS and #of_member > 0 do
    members[#members + 1], after = named(KEYS, after, of_member)
  end
  if K.call then
    local answered = redis.call("GET", K.call)
    if answered then
      return answered
    end
  end
  local c = { K = K, KEYS = KEYS, cause = ARGV[3], retention_ms = ARGV[4] }
  clock.start(c, ARGV[2])
  local a = {}
  for i = 5, #ARGV do
    a[i - 4] = ARGV[i]
  end
  c.agent_type = a[1] -- of the commands that are about many; the others set it
  local reply = commands[name](c, a, keys, members)
  if K.call and string.sub(reply, 3, 9) ~= "refused" then
    redis.call("SET", K.call, reply, "PX", ANSWER_MS)
  end
  return reply
end
