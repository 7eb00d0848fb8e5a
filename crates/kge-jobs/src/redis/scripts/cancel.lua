-- Cancels a waiting task, flags a running one, and its children alike (ARGV: task).
local first = load(ARGV[1])
if not first then
  return { 'unknown' }
end
if has_ended(first.state) then
  return { 'state', first.state }
end
even_when_full()

local function ask_to_stop(id, task)
  if task.state == 'running' then
    if not task.cancel then
      redis.call('HSET', key('task', id), 'cancel', '1')
      event(id, 'state', '{"state":"running","cancel_requested":true}')
    end
    return
  end
  unqueue(id, lane_of(task))
  redis.call('ZREM', key('delayed'), id)
  redis.call('HSET', key('task', id), 'state', 'cancelled', 'cancel', '1')
  event(id, 'state', '{"state":"cancelled"}')
  finish(id)
end

local waiting = { ARGV[1] }
while #waiting > 0 do
  local id = table.remove(waiting)
  ask_to_stop(id, load(id))
  for _, child in ipairs(redis.call('ZRANGE', key('children', id), 0, -1)) do
    -- A parent is older than its children, so that no circle keeps this going.
    local younger = tonumber(child) > tonumber(id)
    local state = redis.call('HGET', key('task', child), 'state')
    if younger and state and not has_ended(state) then
      waiting[#waiting + 1] = child
    end
  end
end
ring()
return { 'ok', show(ARGV[1], load(ARGV[1])) }
