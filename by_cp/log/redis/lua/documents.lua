-- by-framework's JSON documents, written and read.
--
-- A payload is never decoded and encoded again (cjson turns [] into {} and loses big integers):
-- documents are put together as text, and a command stands last in its document, so that it can
-- be cut out again by its offset.

local function quoted(text)
  return cjson.encode(text)
end

local function int(number)
  return string.format("%.0f", number)
end

local function common(x)
  local call = log.call_of(x)
  return '{"execution_id":' .. quoted(x.id)
    .. ',"message_id":' .. quoted(call[CALL.message_id])
    .. ',"session_id":' .. quoted(call[CALL.session_id])
    .. ',"trace_id":' .. quoted(call[CALL.trace_id])
    .. ',"target_agent_type":' .. quoted(call[CALL.agent_type])
    .. ',"user_code":' .. quoted(call[CALL.user_code])
    .. ',"region":' .. quoted(call[CALL.region])
    .. ',"priority":' .. int(call[CALL.priority])
    .. ',"metadata":' .. call[CALL.metadata]
end

function documents.wakeup_request(x)
  local call = log.call_of(x)
  return common(x)
    .. ',"source":' .. quoted(call[CALL.source])
    .. ',"policy":' .. quoted(call[CALL.policy])
    .. ',"timeout_ms":' .. int(call[CALL.timeout_ms])
    .. ',"command_payload":{}}'
end

-- Returns the document, and how many bytes of it stand before the command.
function documents.pending_delivery(x, command)
  local before = common(x) .. ',"delivery_stream":' .. quoted(x.c.K.ctrl) .. ',"command_payload":'
  return before .. command .. "}", #before
end

-- What by-framework buries (a WakeupDecision), and with it what it loses: the command.
function documents.dead_letter(x, reason, command)
  local before = common(x)
    .. ',"delivery_stream":' .. quoted(x.c.K.ctrl)
    .. ',"status":"FAILED","selected_agent_type":"","worker_ids":[],"retry_after_ms":null,"reason":'
    .. quoted(reason) .. ',"command_payload":'
  if command == "" then
    return before .. "{}}", 0
  end
  return before .. command .. "}", #before
end

local function text(value)
  return type(value) == "string" and value or ""
end

-- What an agent that called another, and waits for its reply, is resumed with when none will come;
-- first returns that agent's type. by_cp/log/resuming.py is the same in Python.
function documents.resume(x, command, reason)
  local parsed, document = pcall(cjson.decode, command)
  local header = parsed and type(document) == "table" and document.header
  if type(header) ~= "table" or document.action_type ~= "ASK_AGENT" then
    return nil
  end
  local to, parent = text(header.source_agent_type), text(header.parent_message_id)
  if to == "" or parent == "" or #to > NAME_BYTES_MAX then
    return nil
  end
  local call = log.call_of(x)
  return to, '{"action_type":"RESUME","header":{"message_id":' .. quoted(parent)
    .. ',"session_id":' .. quoted(call[CALL.session_id])
    .. ',"trace_id":' .. quoted(call[CALL.trace_id])
    .. ',"source_agent_type":' .. quoted(call[CALL.agent_type])
    .. ',"target_agent_type":' .. quoted(to)
    .. ',"parent_message_id":' .. quoted(call[CALL.message_id])
    .. ',"task_group_id":' .. quoted(text(header.task_group_id))
    .. ',"user_code":' .. quoted(call[CALL.user_code])
    .. ',"user_name":' .. quoted(text(header.user_name))
    .. ',"metadata":' .. call[CALL.metadata]
    .. '},"body":{"content":"","status":"FAILED","reply_data":{"error":' .. quoted(reason) .. "}}}"
end

function documents.decision(x, status, selected, worker_ids, retry_after_ms, reason)
  local call = log.call_of(x)
  local ids = {}
  for i, worker_id in ipairs(worker_ids) do
    ids[i] = quoted(worker_id)
  end
  return '{"execution_id":' .. quoted(x.id)
    .. ',"target_agent_type":' .. quoted(call[CALL.agent_type])
    .. ',"status":' .. quoted(status)
    .. ',"selected_agent_type":' .. quoted(selected)
    .. ',"worker_ids":[' .. table.concat(ids, ",") .. "]"
    .. ',"region":' .. quoted(call[CALL.region])
    .. ',"retry_after_ms":' .. (retry_after_ms < 0 and "null" or int(retry_after_ms))
    .. ',"reason":' .. quoted(reason) .. "}"
end

-- The command of an execution that is held, or else buried; "" when it has none.
function documents.command_of(x)
  if x.command then
    return x.command
  end
  if x.q == "" or x.k == "" or x.k == "0" then
    return ""
  end
  local stream = x.h ~= "" and x.c.K.pending or x.c.K.dead
  local entry = redis.call("XRANGE", stream, x.q, x.q)[1]
  if not entry then
    return ""
  end
  return string.sub(entry[2][2], tonumber(x.k) + 1, -2)
end

-- A command whose target is changed to another agent type.
function documents.readdressed(command, name_at, name_size, agent_type)
  return string.sub(command, 1, name_at) .. quoted(agent_type) .. string.sub(command, name_at + name_size + 1)
end

-- Strings at keys that anyone may write: nil for a key that is absent, or no string. A call reads
-- each once.
function documents.read_ahead(c, keys)
  local found = redis.call("MGET", unpack(keys))
  c.texts = {}
  for i, key in ipairs(keys) do
    c.texts[key] = found[i]
  end
end

function documents.text(c, key)
  if c.texts and c.texts[key] ~= nil then
    return c.texts[key]
  end
  return redis.call("MGET", key)[1]
end

-- What someone else wrote, as a table; what does not parse, or is our own, is as if it were not there.
function documents.foreign(text)
  if not text then
    return {}
  end
  local parsed, document = pcall(cjson.decode, text)
  if not parsed or type(document) ~= "table" or document.by == OURS then
    return {}
  end
  return document
end

function documents.reason(document, otherwise)
  local reason = document.reason
  return type(reason) == "string" and reason ~= "" and reason or otherwise
end

-- Write a document for by-framework to read, for so long, or for ever if `lasts_ms` is nil; `text`
-- nil takes it away. What someone else wrote there is theirs, and stays.
function documents.mirror(key, text, lasts_ms)
  local found = redis.call("MGET", key)[1]
  if found then
    local parsed, document = pcall(cjson.decode, found)
    if not parsed or type(document) ~= "table" or document.by ~= OURS then
      return
    end
  elseif redis.call("EXISTS", key) == 1 then
    return -- not even a string
  end
  if text and lasts_ms then
    redis.call("SET", key, text, "PX", string.format("%.0f", lasts_ms))
  elseif text then
    redis.call("SET", key, text)
  elseif found then
    redis.call("DEL", key)
  end
end

documents.quoted = quoted
