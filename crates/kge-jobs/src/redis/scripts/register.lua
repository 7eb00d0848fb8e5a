-- A worker says that it is there (ARGV: id, what it says, milliseconds of silence that end one).
even_when_full()
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', key('seen'), '-inf', '(' .. text(now - ARGV[3]))) do
  redis.call('ZREM', key('seen'), gone)
  redis.call('HDEL', key('workers'), gone)
end
redis.call('HSET', key('workers'), ARGV[1], ARGV[2])
redis.call('ZADD', key('seen'), now, ARGV[1])
return { 'ok' }
