-- Fails as every other write would: full, read-only, or not saving to disk.
redis.call('SET', key('ping'), text(now))
return { 'ok' }
