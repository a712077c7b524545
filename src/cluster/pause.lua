-- Looks a pause up, lifts one, clears the failures, or notes whose an identifier is. Keys: the beginnings of the names of
-- failures and of the users of identifiers. Arguments: the user or identifier; `look`, `all`, `lock`, `ban`, `clear`, `signed in`
-- or `found`; with the last two the user and how long that is remembered, and with `clear` how long it is known that a success has
-- cleared them.
-- Returns how long the pause lasts, and the number of failures.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local what, own = ARGV[2], KEYS[1] .. ARGV[1]
if what == 'signed in' then
    redis.call('SET', KEYS[2] .. ARGV[1], ARGV[3], 'PX', ARGV[4])
elseif what == 'found' then
    -- Not if another user has signed in with it.
    redis.call('SET', KEYS[2] .. ARGV[1], ARGV[3], 'PX', ARGV[4], 'NX')
end
local key = KEYS[1] .. (redis.call('GET', KEYS[2] .. ARGV[1]) or ARGV[1])
if what == 'clear' and redis.call('DEL', own) == 1 then
    for _, cleared in ipairs({own, key}) do
        redis.call('HSET', cleared, 'c', 1)
        redis.call('PEXPIRE', cleared, ARGV[3])
    end
end
if what == 'all' then redis.call('HDEL', key, 'u', 'l') end
if what == 'lock' then redis.call('HDEL', key, 'l') end
if what == 'ban' and redis.call('HGET', key, 'b') == '1' then redis.call('HDEL', key, 'u', 'b') end
local failures = redis.call('HMGET', key, 'n', 'u', 'l')
local paused = math.max(tonumber(failures[2] or '0') or 0, tonumber(failures[3] or '0') or 0)
return {math.max(paused - now, 0), tonumber(failures[1] or '0') or 0}
