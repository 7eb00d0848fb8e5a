-- A worker leaves (ARGV: id).
redis.call('ZREM', key('seen'), ARGV[1])
redis.call('HDEL', key('workers'), ARGV[1])
return { 'ok' }
