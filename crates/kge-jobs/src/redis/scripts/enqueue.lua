-- Adds a task (ARGV: kind, priority, max_attempts, delay, payload; dataset, parent and needs, ''
-- for none).
local id = text(redis.call('HINCRBY', key('meta'), 'task', 1))
local delay = tonumber(ARGV[4])
local task = {
  kind = ARGV[1],
  priority = ARGV[2],
  max_attempts = ARGV[3],
  payload = ARGV[5],
  state = delay > 0 and 'delayed' or 'queued',
  created = text(now),
  ready_at = text(now + delay),
  tries = '0',
  attempt = '0',
}
for at, name in pairs({ [6] = 'dataset', [7] = 'parent', [8] = 'needs' }) do
  if ARGV[at] ~= '' then
    task[name] = ARGV[at]
  end
end
local flat = {}
for name, value in pairs(task) do
  flat[#flat + 1] = name
  flat[#flat + 1] = value
end
redis.call('HSET', key('task', id), unpack(flat))
redis.call('ZADD', key('all'), id, id)
redis.call('ZADD', key('live'), id, id)
if task.dataset then
  redis.call('ZADD', key('dataset', task.dataset), id, id)
end
if task.parent then
  redis.call('ZADD', key('children', task.parent), id, id)
end
event(id, 'state', '{"state":"' .. task.state .. '"}')
if delay > 0 then
  redis.call('ZADD', key('delayed'), now + delay, id)
  -- Whoever waits for work has to learn of a new time.
  wake_workers()
else
  queue(id, task)
end
ring()
return { 'ok', show(id, load(id)) }
