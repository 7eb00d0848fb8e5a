-- One task, whole (ARGV: task).
local task = load(ARGV[1])
if not task then
  return { 'unknown' }
end
return { 'ok', show(ARGV[1], task) }
