-- Removes an ended task and its events (ARGV: task).
local id = ARGV[1]
local task = load(id)
if not task then
  return { 'unknown' }
end
if not has_ended(task.state) then
  return { 'state', task.state }
end
forget(id, task)
woken[id] = true
ring()
return { 'ok' }
