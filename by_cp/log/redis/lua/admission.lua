-- Admission: what becomes of a request, in by-framework's order. by_cp/log/admission.py is the
-- same law in Python.

local function evidence(v)
  return "\149" .. cmsgpack.pack(v.circuit or "", v.used or -1, v.limit or -1, v.online or -1, v.registered or -1)
end

-- Returns the circuit's evidence and, when it is open, the reason.
function admission.open_circuit(c)
  local row = redis.call("HMGET", c.K.circuit, "s", "r")
  if row[1] == "OPEN" then
    return "OPEN", (row[2] and row[2] ~= "") and row[2] or SENTENCE.circuit
  end
  local document = documents.foreign(documents.text(c, c.K.circuit_doc))
  if type(document.state) == "string" and string.upper(document.state) == "OPEN" then
    return "FOREIGN", documents.reason(document, SENTENCE.circuit)
  end
  return "CLOSED", nil
end

-- Returns how many are in flight, how many may be, and the reason when that is used up.
function admission.used_quota(c, keys)
  local row = redis.call("HMGET", keys.quota, "u", "l")
  local used, limit = tonumber(row[1]) or 0, tonumber(row[2]) or -1
  if limit ~= -1 and used >= limit then
    return used, limit, string.format(SENTENCE.quota_used, used, limit)
  end
  for _, key in ipairs({ keys.quota_doc, keys.quota_user_doc }) do
    local document = documents.foreign(documents.text(c, key))
    if document.available == false then
      return used, limit, documents.reason(document, SENTENCE.quota)
    end
  end
  return used, limit, nil
end

local function fallback_of(c)
  local selected = redis.call("HGET", c.K.fallback, "t")
  if selected and selected ~= "" then
    return selected
  end
  local document = documents.foreign(documents.text(c, c.K.fallback_doc))
  for _, field in ipairs(FALLBACK_FIELDS) do
    local name = document[field]
    if type(name) == "string" and name ~= "" then
      return #name <= NAME_BYTES_MAX and name or ""
    end
  end
  return ""
end

-- Returns a verdict {evidence, how, agent_type} or {evidence, code, reason}, or only {evidence}:
-- hold it, and wake as the policy says.
function admission.admit(x)
  local c, call = x.c, log.call_of(x)
  local agent_type, user_code, policy = call[CALL.agent_type], call[CALL.user_code], call[CALL.policy]
  local v = {}
  local reason
  documents.read_ahead(c, { c.K.circuit_doc, c.K.fallback_doc, x.keys.quota_doc, x.keys.quota_user_doc })
  v.circuit, reason = admission.open_circuit(c)
  if reason then
    return { evidence = evidence(v), code = "AGENT_CIRCUIT_OPEN", reason = reason }
  end
  if user_code ~= "" then
    v.used, v.limit, reason = admission.used_quota(c, x.keys)
    if reason then
      return { evidence = evidence(v), code = "TENANT_QUOTA_EXCEEDED", reason = reason }
    end
  end
  if policy == "SEND_ANYWAY" then
    return { evidence = evidence(v), how = "SEND_ANYWAY", agent_type = agent_type }
  end
  v.online, v.registered = workers.seen(agent_type)
  if v.online > 0 then
    return { evidence = evidence(v), how = "ONLINE", agent_type = agent_type }
  end
  local selected = fallback_of(c)
  if selected ~= "" and workers.seen(selected) > 0 then
    return { evidence = evidence(v), how = "FALLBACK", agent_type = selected }
  end
  if policy == "FAIL_FAST" then
    return { evidence = evidence(v), code = "AGENT_TYPE_UNAVAILABLE", reason = string.format(SENTENCE.offline, agent_type) }
  end
  return { evidence = evidence(v) }
end
