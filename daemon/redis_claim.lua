#!lua
-- Makes a new owner of a partition. From here on the former owner's flushes and loads fail.
-- KEYS: cursor, then other keys that a partition which was ever flushed has some of. ARGV: owner.
-- Returns the cursor's fields; without a cursor, how many of the other keys there are.
local cursor = redis.call('HGETALL', KEYS[1])
if #cursor == 0 then
    return redis.call('EXISTS', unpack(KEYS, 2))
end
redis.call('HSET', KEYS[1], 'owner', ARGV[1])
return cursor
