-- Stops or resumes handing out a kind (ARGV: kind, '1' to stop).
even_when_full()
if ARGV[2] == '1' then
  redis.call('SADD', key('paused'), ARGV[1])
else
  redis.call('SREM', key('paused'), ARGV[1])
  wake_workers()
end
ring()
return { 'ok' }
