-- Takes a permit back. Keys: permits, and the beginnings of the names of locks and of the users of identifiers. Arguments: the
-- permit, the user or identifier, the window if its call was made (otherwise 0), and whether it is one of the trusted share
-- from now on.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local permit = ARGV[1]
-- The user may have become known meanwhile.
for _, subject in ipairs({ARGV[2], redis.call('GET', KEYS[3] .. ARGV[2]) or ARGV[2]}) do
    if redis.call('GET', KEYS[2] .. subject) == permit then redis.call('DEL', KEYS[2] .. subject) end
end
local was = redis.call('ZREM', KEYS[1], 'u:' .. permit) + 2 * redis.call('ZREM', KEYS[1], 't:' .. permit)
if was > 0 and ARGV[3] ~= '0' then
    local share = (was == 1 and ARGV[4] == '0') and 'u:' or 't:'
    redis.call('ZADD', KEYS[1], now + ARGV[3], share .. permit)
end
return was
