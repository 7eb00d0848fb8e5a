-- Extends a lease (ARGV: task, token, milliseconds of lease, progress or '').
local id = ARGV[1]
local task = held(id, ARGV[2])
if not task then
  return { 'lost' }
end
even_when_full()
local lease = text(now + ARGV[3])
redis.call('HSET', key('task', id), 'lease', lease)
redis.call('ZADD', key('leases'), lease, id)
redis.call('ZADD', key('seen'), 'XX', now, task.worker)
if ARGV[4] ~= '' then
  redis.call('HSET', key('task', id), 'progress', ARGV[4])
  event(id, 'progress', ARGV[4])
end
ring()
return { 'ok', lease, task.cancel and 1 or 0 }
