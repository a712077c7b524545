-- Counts a failure. Keys: members, and the beginnings of the names of failures and of the users of identifiers. Arguments: the
-- user or identifier, whether the pause is the longest, whether the account is locked, whether its user is banned, how long
-- the count lives, how many failures the replica knows of, and how long a member may be silent. Returns the number of failures.
-- The steps are those of `limits/failure_count.rs`, except that the longest pause begins earlier with more members that live: each
-- of them lets a failure through while it is alone. Those that are silent are mostly processes that have ended.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local key = KEYS[2] .. (redis.call('GET', KEYS[3] .. ARGV[1]) or ARGV[1])
local failures = redis.call('HINCRBY', key, 'n', 1)
local known = tonumber(ARGV[6])
-- What was counted here may have been lost. A replica that knows of more may also have missed a success, of which the key tells.
if known > failures and not redis.call('HGET', key, 'c') then
    failures = known
    redis.call('HSET', key, 'n', ARGV[6])
end
local pause = 0
if failures > 3 then pause = math.min(600000 * 2 ^ math.min(failures - 4, 10), 86400000) end
local live = redis.call('ZCOUNT', KEYS[1], '(' .. now - ARGV[7], '+inf')
local near = math.max(8 - math.max(live - 1, 0), 4)
if ARGV[2] == '1' or failures >= near then pause = 86400000 end
if pause > 0 then
    local before = tonumber(redis.call('HGET', key, 'u') or '0') or 0
    redis.call('HSET', key, 'u', string.format('%.0f', math.max(before, now + pause)))
end
if ARGV[3] == '1' then redis.call('HSET', key, 'l', string.format('%.0f', now + 3600000)) end
redis.call('HSET', key, 'b', ARGV[4])
redis.call('PEXPIRE', key, ARGV[5])
return failures
