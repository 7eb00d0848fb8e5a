-- Adds to the events of a held task (ARGV: task, token, name, data).
if not held(ARGV[1], ARGV[2]) then
  return { 'lost' }
end
local position = event(ARGV[1], ARGV[3], ARGV[4])
ring()
return { 'ok', position }
