-- A replica's sign of life. Keys: members, permits. Arguments: its id, how long it is remembered in silence, the nonce of a
-- new log of permits, how long that lives, for how long it counts as silent; then the departures that the log doesn't know of,
-- each as a permit and how long until it comes back. Returns the number of members, its rank among them, the age of the log, and
-- what tells the log from another.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('ZADD', KEYS[1], now - ARGV[5], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local born = redis.call('ZRANGEBYSCORE', KEYS[2], '+inf', '+inf')[1]
if not born then
    born = now .. ':' .. ARGV[3]
    redis.call('ZADD', KEYS[2], '+inf', born)
end
for at = 6, #ARGV, 2 do
    redis.call('ZADD', KEYS[2], now + ARGV[at + 1], ARGV[at])
end
redis.call('PEXPIRE', KEYS[2], ARGV[4])
local members, rank = redis.call('ZRANGE', KEYS[1], 0, -1), 0
for _, member in ipairs(members) do
    if member < ARGV[1] then rank = rank + 1 end
end
return {#members, rank, now - tonumber(string.match(born, '^%d+')), born}
