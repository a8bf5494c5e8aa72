#!lua
-- Makes a new owner of a partition. From here on the former owner's flushes and loads fail.
-- KEYS: cursor, due, stat, then other keys that a partition which was ever flushed has some of. ARGV: owner.
-- Returns the cursor's fields, and how many deadlines and statistics are lost since the last flush (see
-- redis_flush.lua: `sizes`); without a cursor, how many of the other keys there are.
local cursor = redis.call('HGETALL', KEYS[1])
if #cursor == 0 then
    return redis.call('EXISTS', unpack(KEYS, 2))
end
redis.call('HSET', KEYS[1], 'owner', ARGV[1])
local held = redis.call('HMGET', KEYS[1], 'sizes', 'n')
local dues, stats = string.match(held[1] or '', '^(%d+) (%d+)@' .. (held[2] or '') .. '$')
if not dues then
    return {cursor, 0, 0}
end
return {cursor, dues - redis.call('ZCARD', KEYS[2]), stats - redis.call('HLEN', KEYS[3])}
