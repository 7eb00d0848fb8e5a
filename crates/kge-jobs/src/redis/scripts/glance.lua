-- The little that waits ask for (ARGV: task, token): whether the token's holder may go on, and
-- the last event's position, 0 if no events are kept.
local task = redis.call('HMGET', key('task', ARGV[1]), 'state', 'token', 'cancel')
if not task[1] then
  return { 'unknown' }
end
local may_go_on = task[1] == 'running' and task[2] == ARGV[2] and not task[3]
local last = 0
if redis.call('EXISTS', key('events', ARGV[1])) == 1 then
  last = load(ARGV[1]).events
end
return { 'ok', may_go_on and 1 or 0, last }
