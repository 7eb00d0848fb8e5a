-- Events after a position (ARGV: task, position, limit): the position of the first one, then the
-- events.
local last = load(ARGV[1])
if not last then
  return { 'unknown' }
end
local kept = redis.call('LLEN', key('events', ARGV[1]))
local first = last.events - kept + 1
local from = math.max(ARGV[2] + 1, first)
local events = redis.call('LRANGE', key('events', ARGV[1]), from - first, from - first + ARGV[3] - 1)
return { 'ok', from, events }
