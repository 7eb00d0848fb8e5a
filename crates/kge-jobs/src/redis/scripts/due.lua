-- Milliseconds until the next delayed task is due or the next lease runs out; -1 if there is none.
local due
for _, name in ipairs({ 'delayed', 'leases' }) do
  local score = tonumber(redis.call('ZRANGE', key(name), 0, 0, 'WITHSCORES')[2])
  if score and (not due or score < due) then
    due = score
  end
end
return { 'ok', due and text(math.max(due - now, 0)) or -1 }
