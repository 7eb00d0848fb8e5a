-- Workers heard of lately (ARGV: milliseconds of silence that end one): for each what it says,
-- when it was heard, and the tasks that it holds.
local tasks = {}
for _, id in ipairs(redis.call('ZRANGE', key('leases'), 0, -1)) do
  local worker = redis.call('HGET', key('task', id), 'worker')
  tasks[worker] = tasks[worker] or {}
  table.insert(tasks[worker], id)
end
local reply = { 'ok' }
local seen = redis.call('ZRANGEBYSCORE', key('seen'), text(now - ARGV[1]), '+inf', 'WITHSCORES')
for at = 1, #seen, 2 do
  local info = redis.call('HGET', key('workers'), seen[at])
  reply[#reply + 1] = { info, seen[at + 1], tasks[seen[at]] or {} }
end
return reply
