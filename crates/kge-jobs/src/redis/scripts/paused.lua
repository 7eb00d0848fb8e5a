-- The kinds that are not handed out.
return { 'ok', redis.call('SMEMBERS', key('paused')) }
