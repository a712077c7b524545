-- Asks for a permit, as one step. Keys: permits, members, and the beginnings of the names of locks, of failures and of the users
-- of identifiers. Arguments: the permit, the user or identifier, its share (t or u), how many permits there are (0: no budget),
-- the window, how many permits untrusted credentials may have, how long the call may take, whether a pause counts, how old the
-- log of permits must be, how long a member may be silent.
-- Returns a word, and a number that belongs to it; with `paused`, also the number of failures.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local permit, limit, window, hold = ARGV[1], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[7])
local subject = redis.call('GET', KEYS[5] .. ARGV[2]) or ARGV[2]
if ARGV[8] == '1' then
    local failures = redis.call('HMGET', KEYS[4] .. subject, 'n', 'u', 'l')
    local paused = math.max(tonumber(failures[2] or '0') or 0, tonumber(failures[3] or '0') or 0)
    if paused > now then return {'paused', paused - now, tonumber(failures[1] or '0') or 0} end
end
local lock = KEYS[3] .. subject
local holder = redis.call('GET', lock)
if holder and holder ~= permit then return {'busy', math.max(redis.call('PTTL', lock), 1)} end
if limit > 0 then
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
    local born = redis.call('ZRANGEBYSCORE', KEYS[1], '+inf', '+inf')[1]
    local age = born and now - tonumber(string.match(born, '^%d+')) or 0
    -- Others may have departed without a note here.
    if age < tonumber(ARGV[9]) then return {'young', tonumber(ARGV[9]) - age} end
    local spent = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(+inf', 'WITHSCORES')
    local silent = redis.call('ZCOUNT', KEYS[2], '-inf', now - ARGV[10])
    local free = limit
    -- One at least: a process that is killed and starts again is another member each time. With a budget of one, a silent member
    -- therefore has nothing withheld for it.
    if silent > 0 then
        free = math.max(limit - math.ceil(limit * silent / redis.call('ZCARD', KEYS[2])), 1)
    end
    local used, untrusted, back, back_untrusted = #spent / 2, 0, nil, nil
    for place = 1, #spent, 2 do
        back = back or spent[place + 1]
        if string.sub(spent[place], 1, 1) == 'u' then
            untrusted, back_untrusted = untrusted + 1, back_untrusted or spent[place + 1]
        end
    end
    local at
    if used >= free then at = back or now + window end
    if not at and ARGV[3] == 'u' and untrusted >= tonumber(ARGV[6]) then at = back_untrusted or now + window end
    if at then
        -- A call that is under way is answered sooner than its permit would end.
        if at - now > window then return {'wait', 100} end
        return {'wait', math.max(math.floor(at - now), 1)}
    end
    redis.call('ZADD', KEYS[1], now + hold + window, ARGV[3] .. ':' .. permit)
end
redis.call('SET', lock, permit, 'PX', hold)
return {'go', 0}
