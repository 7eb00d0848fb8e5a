-- Hands out the highest-priority oldest ready task that the claimant can run (ARGV: worker,
-- kinds, features, nonce, milliseconds of lease).
even_when_full()
reap()
local worker = ARGV[1]
local claim = ARGV[4] .. ' ' .. worker

local function answer(id)
  local task = load(id)
  ring()
  return { 'ok', task.token, task.lease, show(id, task) }
end

-- A nonce seen before asks for a lost reply.
local same = redis.call('HGET', key('claims'), claim)
if same and redis.call('EXISTS', key('task', same)) == 1 then
  return answer(same)
end

queue_due()
local runs, offers = {}, {}
for _, kind in ipairs(cjson.decode(ARGV[2])) do
  runs[kind] = redis.call('SISMEMBER', key('paused'), kind) == 0
end
for _, feature in ipairs(cjson.decode(ARGV[3])) do
  offers[feature] = true
end

local function can_run(kind, needs)
  if not runs[kind] then
    return false
  end
  for _, need in ipairs(cjson.decode(needs)) do
    if not offers[need] then
      return false
    end
  end
  return true
end

local best
for _, lane in ipairs(redis.call('SMEMBERS', key('lanes'))) do
  local kind, needs = string.match(lane, '^(%S+) (.*)$')
  if can_run(kind, needs) then
    local first = redis.call('ZRANGE', key('ready', lane), 0, 0, 'WITHSCORES')
    local score = tonumber(first[2])
    if score and (not best or score < best.score or (score == best.score and first[1] < best.place)) then
      best = { lane = lane, place = first[1], score = score }
    end
  end
end
if not best then
  ring()
  return { 'ok' }
end

local id = text(tonumber(best.place))
local task = load(id)
unqueue(id, best.lane)
if not task then
  wake_workers()
  ring()
  return { 'ok' }
end
-- Above every token before it, and at least the clock, so that a store made anew still grows.
local last = tonumber(redis.call('HGET', key('meta'), 'token') or 0)
local token = text(math.max(last + 1, now))
redis.call('HSET', key('meta'), 'token', token)
local lease = text(now + ARGV[5])
local attempt = tonumber(task.attempt) + 1
local attempts = (task.attempts and task.attempts .. ',' or '')
  .. '{"worker":' .. cjson.encode(worker) .. ',"token":' .. token
  .. ',"started":' .. text(now) .. '}'
redis.call('HSET', key('task', id), 'state', 'running', 'attempts', attempts,
  'attempt', text(attempt), 'tries', text(task.tries + 1), 'started', task.started or text(now),
  'worker', worker, 'nonce', ARGV[4], 'token', token, 'lease', lease)
redis.call('ZADD', key('leases'), lease, id)
redis.call('HSET', key('claims'), claim, id)
redis.call('ZADD', key('seen'), 'XX', now, worker)
event(id, 'state', '{"state":"running","attempt":' .. text(attempt)
  .. ',"worker":' .. cjson.encode(worker) .. '}')
return answer(id)
