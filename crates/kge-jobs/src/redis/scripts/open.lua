-- Marks a new store with the version of its layout (ARGV: version); answers the store's.
redis.call('HSETNX', key('meta'), 'version', ARGV[1])
return { 'ok', redis.call('HGET', key('meta'), 'version') }
