-- Ends the attempt of the token's holder (ARGV: task, token, outcome, how in words, result or
-- error or '', longest first delay, longest delay, share of it to wait).
local id = ARGV[1]
local task = held(id, ARGV[2])
if not task then
  return { 'lost' }
end
even_when_full()
local doublings = math.min(math.max(task.tries - 1, 0), 31)
local delay = math.ceil(math.min(ARGV[6] * 2 ^ doublings, tonumber(ARGV[7])) * ARGV[8])
end_attempt(id, task, ARGV[3], ARGV[4], ARGV[5] ~= '' and ARGV[5] or nil, delay)
ring()
return { 'ok', show(id, load(id)) }
