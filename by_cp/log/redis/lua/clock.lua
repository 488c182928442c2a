-- The time: the server's own, and so that of the log's positions. A test or a simulation may tell
-- another; then, as with the server's, it never runs backwards.

function clock.server()
  local time = redis.call("TIME")
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- `told` is "" or the time in ms. Sets c.stamp, the id with which entries are added.
function clock.start(c, told)
  c.stamp = "*"
  if told ~= "" then
    c.time = tonumber(told)
    local last = redis.call("XREVRANGE", c.K.log, "+", "-", "COUNT", 1)[1]
    if last then
      c.time = math.max(c.time, tonumber(string.match(last[1], "^%d+")))
    end
    c.stamp = string.format("%.0f-*", c.time)
  end
end

-- One time for a whole call, in ms; most calls do not ask.
function clock.now(c)
  if not c.time then
    c.time = clock.server()
  end
  return c.time
end
