-- A page of tasks, newest first (ARGV: below this id, tasks looked at, tasks answered; kind,
-- state, dataset, parent and made before, '' for any). Answers the id to go on below, 0 at the
-- end, then the tasks that fit.
local below, looks, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local kind, state, dataset, parent, made_before = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]

-- The shortest list that holds them all.
local function candidates()
  if parent == '' and dataset == '' and state == 'running' then
    local ids = redis.call('ZRANGE', key('leases'), 0, -1)
    table.sort(ids, function(a, b) return tonumber(a) > tonumber(b) end)
    local older = {}
    for _, id in ipairs(ids) do
      if #older < looks and (below == '+inf' or tonumber(id) < tonumber(below)) then
        older[#older + 1] = id
      end
    end
    return older
  end
  local source = key('all')
  if parent ~= '' then
    source = key('children', parent)
  elseif dataset ~= '' then
    source = key('dataset', dataset)
  elseif state == 'queued' or state == 'delayed' then
    source = key('live')
  end
  return redis.call('ZREVRANGEBYSCORE', source, '(' .. below, '-inf', 'LIMIT', 0, looks)
end

local function fits(task)
  return (kind == '' or task.kind == kind)
    and (state == '' or shown_state(task) == state)
    and (dataset == '' or task.dataset == dataset)
    and (parent == '' or task.parent == parent)
    and (made_before == '' or tonumber(task.created) < tonumber(made_before))
end

local ids = candidates()
local reply = { 'ok', 0 }
for _, id in ipairs(ids) do
  local task = load(id)
  if task and fits(task) then
    reply[#reply + 1] = show(id, task)
  end
  if #reply - 2 == limit then
    reply[2] = id
    return reply
  end
end
if #ids == looks then
  reply[2] = ids[#ids]
end
return reply
