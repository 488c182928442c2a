-- Looking at live rows, and putting rows back, each in one atomic call. by_cp/replay/drift folds
-- the log to the position that `inspect` answers with, and compares: so nothing that happens
-- meanwhile looks like a fault.
--
-- A row is put back only if it is still as it was when it was compared: every event that changes a
-- row leaves its position there, so the position guards the whole row.

local function last_of(positions)
  local comma = string.find(positions, ",[^,]*$")
  return comma and string.sub(positions, comma + 1) or positions
end

local function log_end(c)
  local last = redis.call("XREVRANGE", c.K.log, "+", "-", "COUNT", 1)[1]
  return last and last[1] or ""
end

local function score(key, name)
  return name ~= "" and redis.call("ZSCORE", key, name) or ""
end

-- The reply: the log's last position; of each head, in one line, what a fold says of it, or "".
-- The heads' keys follow that of the log: there are many, and they are not made members first.
function commands.inspect_heads(c)
  local reply, call, keys = { log_end(c) }, redis.call, c.KEYS
  for i = 2, #keys do
    local f = call("HMGET", keys[i], "s", "v", "p", "h", "u", "e", "j")
    local line = ""
    if f[1] or f[3] then
      line = table.concat({
        f[1] or "", f[2] or "", last_of(f[3] or ""), f[4] or "", f[5] or "", f[6] or "", f[7] or "",
      }, " ")
    end
    reply[i] = line
  end
  return reply
end

-- a: for each member its id, its entry in the index of what is held, and its entry in its group,
--    as the log has them ("" for none)
-- The reply: the log's last position; of each member a list, in the order of FOUND in
-- by_cp/log/redis/live.py.
function commands.inspect(c, a, _, members)
  local reply = { log_end(c) }
  for i, keys in ipairs(members) do
    local id, index_entry, member_entry = a[3 * i - 2], a[3 * i - 1], a[3 * i]
    local x = log.load(c, id, keys)
    local document = ""
    if x.q ~= "" then
      local entry = redis.call("XRANGE", x.h ~= "" and c.K.pending or c.K.dead, x.q, x.q)[1]
      document = entry and entry[2][2] or ""
    end
    reply[i + 1] = {
      x.s, x.v, last_of(x.p), x.h, x.u, x.e, x.j, x.d, x.y, x.a, x.r, x.n, x.z, x.k, x.q, document,
      score(keys.index, index_entry), score(c.K.delayed, id), score(c.K.deadlines, id),
      score(keys.leases, id), score(keys.wake_members, member_entry),
      redis.call("HGET", c.K.dead_index, id) or "",
    }
  end
  return reply
end

-- Take away whatever the head, right or wrong, left in the indexes.
local function clear(c, x, keys)
  if x.h ~= "" then
    pcall(effects.unindex, x)
  end
  if x.j ~= "" then
    pcall(function() redis.call("ZREM", keys.wake_members, log.sort_key(x.j) .. "/" .. x.id) end)
  end
  redis.call("ZREM", c.K.deadlines, x.id)
  redis.call("ZREM", c.K.delayed, x.id)
  redis.call("ZREM", keys.leases, x.id)
  redis.call("HDEL", c.K.dead_index, x.id)
  if string.match(x.q, "^%d+%-%d+$") then
    redis.call("XDEL", c.K.pending, x.q)
    redis.call("XDEL", c.K.dead, x.q)
  end
  redis.call("DEL", keys.head)
end

-- a: execution_id, its head's position when it was compared ("": there was none), until when the
--    head is kept, in ms ("": as long as it is not settled), command, reason of its burial, lease in
--    ms ("": none; 0: until it is settled), then the head's fields: a name, a value, ...
--    With no fields at all, the head goes: the log knows nothing of it.
function commands.install(c, a, keys)
  local id, compared, keep_until, command, reason, lease = unpack(a, 1, 6)
  local had = log.load(c, id, keys)
  if last_of(had.p) ~= compared then
    return answers.tally({ skipped = 1 })
  end
  local was_delayed = redis.call("ZSCORE", c.K.delayed, id)
  local was_indexed = had.h ~= "" and not was_delayed
  clear(c, had, keys)
  if #a == 6 then
    return answers.tally({ progressed = 1 })
  end
  local x = log.new(c, id, keys)
  for i = 7, #a, 2 do
    x[a[i]] = a[i + 1]
  end
  -- What no event says: who waits where, and how its request is known again.
  x.i, x.g = had.i, had.s ~= "" and had.g or "?"
  x.x, x.w = had.x ~= "" and had.x or x.x, had.w ~= "" and had.w or x.w
  x.state, x.version = x.s, tonumber(x.v)
  if x.h ~= "" then
    local document, offset = documents.pending_delivery(x, command)
    x.q, x.k = redis.call("XADD", c.K.pending, "*", "data", document, "by", OURS), tostring(offset)
    if x.a ~= "" and tonumber(x.a) > clock.now(c) and not was_indexed then
      redis.call("ZADD", c.K.delayed, x.a, id)
    else
      effects.enqueue(x)
    end
    local due = x.d ~= "" and x.d or x.y
    if due ~= "" then
      redis.call("ZADD", c.K.deadlines, due, id)
    end
  elseif x.s == "DEADLETTER" then
    local document, offset = documents.dead_letter(x, reason, command)
    x.q, x.k = redis.call("XADD", c.K.dead, "*", "data", document), tostring(offset)
    redis.call("HSET", c.K.dead_index, id, x.q)
  end
  if lease ~= "" then
    redis.call("ZADD", keys.leases, lease ~= "0" and lease or "+inf", id)
  end
  if x.j ~= "" then
    redis.call("ZADD", keys.wake_members, -log.call_of(x)[CALL.priority], log.sort_key(x.j) .. "/" .. id)
  end
  log.save(x)
  if keep_until ~= "" then
    redis.call("HDEL", keys.head, "b")
    redis.call("PEXPIREAT", keys.head, keep_until)
  end
  return answers.tally({ progressed = 1 })
end

-- a: how many guards; of each guard a field and what it was when the row was compared ("": absent);
--    then the row's fields: a name, a value, ... None: the row goes.
function commands.install_row(c, a)
  local guards = tonumber(a[1])
  for i = 2, 2 * guards, 2 do
    if (redis.call("HGET", c.K.row, a[i]) or "") ~= a[i + 1] then
      return answers.tally({ skipped = 1 })
    end
  end
  redis.call("DEL", c.K.row)
  local first = 2 + 2 * guards
  if #a >= first then
    redis.call("HSET", c.K.row, unpack(a, first))
  end
  return answers.tally({ progressed = 1 })
end

-- How many are held is a sum, and has no position: what it is off by is added, whatever it is now.
-- a: agent_type, what to add
function commands.install_depth(c, a)
  if redis.call("HINCRBY", c.K.depth, a[1], a[2]) <= 0 then
    redis.call("HDEL", c.K.depth, a[1])
  end
  return answers.tally({ progressed = 1 })
end

-- Take an entry that nothing in the log accounts for out of an index.
-- a: execution_id, its head's position when it was compared, the entry
function commands.discard(c, a, keys)
  if last_of(log.load(c, a[1], keys).p) ~= a[2] then
    return answers.tally({ skipped = 1 })
  end
  redis.call("ZREM", c.K.row, a[3])
  return answers.tally({ progressed = 1 })
end
