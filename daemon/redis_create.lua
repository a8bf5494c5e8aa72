#!lua
-- Writes the first cursor of a partition. KEYS: cursor. ARGV: its fields and values.
-- Returns 1; 0 when there is a cursor already, which is then left as it is.
if redis.call('EXISTS', KEYS[1]) == 1 then
    return 0
end
redis.call('HSET', KEYS[1], unpack(ARGV))
return 1
