-- Fair order between tenants: start-time fair queueing. by_cp/log/fairness.py says the same.
--
-- `fair` is a hash for each agent type: `priority` -> virtual time, `priority/tenant` -> the
-- tenant's last finish time. It goes when nothing is held any more.

function fairness.rank(x)
  local c, call = x.c, log.call_of(x)
  local priority = string.format("%.0f", call[CALL.priority])
  local tenant = priority .. "/" .. call[CALL.user_code]
  local times = redis.call("HMGET", c.K.fair, priority, tenant)
  local start = math.max(tonumber(times[1]) or 0, tonumber(times[2]) or 0)
  redis.call("HSET", c.K.fair, tenant, string.format("%.0f", start + 1))
  return start
end

function fairness.delivered(x)
  local c = x.c
  local rank = tonumber(x.r) or 0
  local priority = string.format("%.0f", log.call_of(x)[CALL.priority])
  c.times = c.times or {}
  local reached = c.times[priority]
  if not reached then
    reached = tonumber(redis.call("HGET", c.K.fair, priority)) or 0
  end
  if rank > reached then
    reached = rank
    redis.call("HSET", c.K.fair, priority, string.format("%.0f", rank))
  end
  c.times[priority] = reached
end
