-- Who is online. by-framework registers workers in a set for each agent type, which only a clean
-- shutdown leaves, and each living worker renews a lease. Asking every registered worker's lease
-- costs more with every worker that ever died; so the living that were met are remembered, in
-- `online`, and a check asks the lease of the freshest only.
--
-- The names of leases are known only here, after the set was read: they are built from a prefix.
-- So are the keys of a fallback's workers.

local SMALL = 64 -- up to so many registered workers are simply all asked
local TRUST_MS = 500 -- for so long a full look at more of them, which met nobody, is believed

function workers.lease_lives(lease)
  if not lease then
    return false
  end
  local parsed, document = pcall(cjson.decode, lease)
  if not parsed or type(document) ~= "table" then
    return true -- written by an old by-framework, which had no document there
  end
  return (tonumber(document.last_seen) or 0) > 0
end

local function lives(worker_id)
  return workers.lease_lives(redis.call("MGET", PREFIX.lease .. worker_id .. SUFFIX.lease)[1])
end

local function look_at_all(registry, online)
  local met = 0
  local now = clock.server()
  local ids = redis.call("SMEMBERS", registry)
  for first = 1, #ids, 500 do
    local keys = {}
    for i = first, math.min(first + 499, #ids) do
      keys[#keys + 1] = PREFIX.lease .. ids[i] .. SUFFIX.lease
    end
    local leases = redis.call("MGET", unpack(keys))
    for i = 1, #keys do
      if workers.lease_lives(leases[i]) then
        met = met + 1
        redis.call("ZADD", online, now, ids[first + i - 1])
      end
    end
  end
  return met
end

-- Returns 1 or 0, and how many are registered. It stops at the first that lives.
function workers.seen(agent_type)
  local registry = PREFIX.registry .. agent_type .. SUFFIX.registry
  local registered = redis.pcall("SCARD", registry)
  if type(registered) ~= "number" or registered == 0 then
    return 0, 0
  end
  local online = PREFIX.online .. agent_type
  local freshest = redis.call("ZREVRANGE", online, 0, 0)[1]
  while freshest do
    if redis.call("SISMEMBER", registry, freshest) == 1 and lives(freshest) then
      return 1, registered
    end
    redis.call("ZREM", online, freshest)
    freshest = redis.call("ZREVRANGE", online, 0, 0)[1]
  end
  local scan = PREFIX.scan .. agent_type
  if registered > SMALL and redis.call("GET", scan) == tostring(registered) then
    return 0, registered
  end
  if look_at_all(registry, online) > 0 then
    return 1, registered
  end
  if registered > SMALL then
    redis.call("SET", scan, tostring(registered), "PX", TRUST_MS)
  end
  return 0, registered
end
