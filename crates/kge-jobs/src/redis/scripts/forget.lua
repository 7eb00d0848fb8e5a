-- Removes tasks that ended before a time (ARGV: time, how many at most); answers how many.
local ended = redis.call('ZRANGEBYSCORE', key('ended'), '-inf', '(' .. ARGV[1], 'LIMIT', 0, ARGV[2])
for _, id in ipairs(ended) do
  forget(id, load(id) or {})
end
return { 'ok', #ended }
