-- What every script begins with: names of keys, the clock, and the few moves that transitions
-- are made of. A script runs alone, so what it does is one step to everybody else.
--
-- All keys begin with KEYS[1], a name in braces, so that they lie in one slot of a cluster:
--   :meta           hash    version of this layout, last task id, last fencing token
--   :task:<id>      hash    a task; once it has ended, folded into two fields
--   :events:<id>    list    its last events: "<milliseconds> <name>\n<JSON>"
--   :all :live      zset    ids of all tasks, and of those that have not ended
--   :dataset:<id> :children:<id>   zset    ids of a dataset's tasks, of a task's children
--   :lanes          set     "<kind> <needs>" of every queued task
--   :ready:<lane>   zset    ids by priority, then age
--   :delayed :leases :ended   zset    ids by time
--   :claims         hash    "<nonce> <worker>" of every live claim
--   :workers :seen  hash, zset    what workers say of themselves, and when they last did
--   :paused         set     kinds
--   :wake           channel which tasks changed, and "w" if one may be ready
-- Times are milliseconds since 1970 by the server's own clock. A task whose hash is gone (deleted
-- by hand, or thrown away by a Redis that evicts) must not stop the queue: its id is dropped.

local function key(...)
  return KEYS[1] .. ':' .. table.concat({ ... }, ':')
end

-- A whole number as text: Lua itself would write a large one with an exponent.
local function text(number)
  return string.format('%.0f', number)
end

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- Events kept of each task, and for how many seconds once it has ended.
local EVENTS_KEPT = 1000
local EVENTS_KEPT_AFTER_END = 86400
-- Tasks moved by one call because their time has come: a script holds everybody else up.
local AT_ONCE = 1000
-- How an attempt ends whose worker was not heard of in time.
local LEASE_EXPIRED = 'lease expired'

-- On a full Redis a script may go on if its first write is one that cannot need memory.
local function even_when_full()
  redis.call('DEL', key('nothing'))
end

local woken = {}

local function wake_workers()
  woken.w = true
end

-- Tells everybody what has changed; every script that changes something ends with it.
local function ring()
  local words = {}
  for word in pairs(woken) do
    words[#words + 1] = word
  end
  if #words > 0 then
    redis.call('PUBLISH', key('wake'), table.concat(words, ' '))
  end
end

-- Appends to the task's events. A list, not a stream: the smallest stream takes 4 KiB.
local function event(id, name, data)
  local position = redis.call('HINCRBY', key('task', id), 'events', 1)
  redis.call('RPUSH', key('events', id), text(now) .. ' ' .. name .. '\n' .. data)
  if position > EVENTS_KEPT then
    redis.call('LTRIM', key('events', id), -EVENTS_KEPT, -1)
  end
  woken[id] = true
  return position
end

-- The task as a table of its fields, all text; nil if there is none.
local function load(id)
  local flat = redis.call('HGETALL', key('task', id))
  if #flat == 0 then
    return nil
  end
  local task = {}
  for at = 1, #flat, 2 do
    task[flat[at]] = flat[at + 1]
  end
  if task.folded then
    for name, value in pairs(cmsgpack.unpack(task.folded)) do
      task[name] = value
    end
    task.folded = nil
  end
  return task
end

local function has_ended(state)
  return state == 'succeeded' or state == 'failed' or state == 'cancelled'
end

-- The state to show: a delayed task whose time has come is queued, though not moved yet.
local function shown_state(task)
  if task.state == 'delayed' and tonumber(task.ready_at) <= now then
    return 'queued'
  end
  return task.state
end

-- A task as a reply: names and values in turn.
local function show(id, task)
  local flat = { 'id', id, 'shown', shown_state(task) }
  for name, value in pairs(task) do
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  return flat
end

local function lane_of(task)
  return task.kind .. ' ' .. (task.needs or '[]')
end

-- The name of a task within its lane: equal priorities are sorted by name, so by age.
local function place(id)
  return string.format('%016.0f', id)
end

local function queue(id, task)
  redis.call('ZADD', key('ready', lane_of(task)), -task.priority, place(id))
  redis.call('SADD', key('lanes'), lane_of(task))
  wake_workers()
end

local function unqueue(id, lane)
  redis.call('ZREM', key('ready', lane), place(id))
  if redis.call('EXISTS', key('ready', lane)) == 0 then
    redis.call('SREM', key('lanes'), lane)
  end
end

-- Files an ended task away. A hash takes some 60 bytes a field, so the fields are folded into one.
local function finish(id)
  redis.call('ZADD', key('ended'), now, id)
  redis.call('ZREM', key('live'), id)
  redis.call('EXPIRE', key('events', id), EVENTS_KEPT_AFTER_END)
  local task = load(id)
  local state = task.state
  task.state = nil
  task.finished = text(now)
  redis.call('DEL', key('task', id))
  redis.call('HSET', key('task', id), 'state', state, 'folded', cmsgpack.pack(task))
end

-- The running task that this token holds, or nil.
local function held(id, token)
  local live = redis.call('HMGET', key('task', id), 'state', 'token')
  if live[1] == 'running' and live[2] == token then
    return load(id)
  end
  return nil
end

-- Ends the live attempt, and moves the task to where the outcome (succeeded, interrupted, failed,
-- handed back, cancelled or LEASE_EXPIRED) and what is left of its attempts bring it. `value` is
-- the result or the error, `delay` how long an interrupted task waits.
local function end_attempt(id, task, outcome, how, value, delay)
  local tries = tonumber(task.tries)
  local state, error, result, ready_at
  if outcome == 'succeeded' then
    state, result = 'succeeded', value
  elseif outcome == 'cancelled' then
    state = 'cancelled'
  elseif outcome == 'handed back' then
    tries = math.max(tries - 1, 0)
    state = task.cancel and 'cancelled' or 'queued'
  elseif task.cancel then
    state, error = 'cancelled', value
  elseif outcome ~= 'failed' and tries < tonumber(task.max_attempts) then
    if outcome == LEASE_EXPIRED then
      state = 'queued'
    else
      state, ready_at = 'delayed', now + delay
    end
  else
    state, error = 'failed', value
  end

  local told = cjson.encode(how)
  local attempts = string.sub(task.attempts, 1, -2)
    .. ',"ended":' .. text(now) .. ',"how":' .. told .. '}'
  redis.call('ZREM', key('leases'), id)
  redis.call('HDEL', key('claims'), task.nonce .. ' ' .. task.worker)
  redis.call('HDEL', key('task', id), 'worker', 'nonce', 'token', 'lease')
  redis.call('HSET', key('task', id), 'state', state, 'tries', text(tries), 'attempts', attempts)
  if result then
    redis.call('HSET', key('task', id), 'result', result)
  end
  if error then
    redis.call('HSET', key('task', id), 'error', error)
  end
  local data = '{"state":"' .. state .. '","attempt":' .. task.attempt .. ',"how":' .. told
  if ready_at then
    redis.call('HSET', key('task', id), 'ready_at', text(ready_at))
    redis.call('ZADD', key('delayed'), ready_at, id)
    data = data .. ',"ready_at":' .. text(ready_at)
    wake_workers()
  end
  event(id, 'state', data .. '}')
  if state == 'queued' then
    queue(id, task)
  elseif has_ended(state) then
    finish(id)
  end
end

-- Takes back every lease that has run out; returns the tasks' ids.
local function reap()
  local expired = redis.call('ZRANGEBYSCORE', key('leases'), '-inf', text(now), 'LIMIT', 0, AT_ONCE)
  local failure = '{"kind":"lease expired","message":"lease expired","retryable":true}'
  for _, id in ipairs(expired) do
    local task = load(id)
    if task then
      end_attempt(id, task, LEASE_EXPIRED, LEASE_EXPIRED, failure)
    else
      redis.call('ZREM', key('leases'), id)
    end
  end
  return expired
end

-- Queues delayed tasks whose time has come.
local function queue_due()
  local due = redis.call('ZRANGEBYSCORE', key('delayed'), '-inf', text(now), 'LIMIT', 0, AT_ONCE)
  for _, id in ipairs(due) do
    redis.call('ZREM', key('delayed'), id)
    local task = load(id)
    if task then
      redis.call('HSET', key('task', id), 'state', 'queued')
      event(id, 'state', '{"state":"queued"}')
      queue(id, task)
    end
  end
end

-- Removes every trace of an ended task.
local function forget(id, task)
  redis.call('DEL', key('task', id), key('events', id))
  redis.call('ZREM', key('all'), id)
  redis.call('ZREM', key('ended'), id)
  if task.dataset then
    redis.call('ZREM', key('dataset', task.dataset), id)
  end
  if task.parent then
    redis.call('ZREM', key('children', task.parent), id)
  end
end

