-- The needs of queued tasks of kinds that are handed out: for each kind and needs how many.
local reply = { 'ok' }
for _, lane in ipairs(redis.call('SMEMBERS', key('lanes'))) do
  local kind, needs = string.match(lane, '^(%S+) (.*)$')
  if needs ~= '[]' and redis.call('SISMEMBER', key('paused'), kind) == 0 then
    reply[#reply + 1] = { kind, needs, redis.call('ZCARD', key('ready', lane)) }
  end
end
return reply
