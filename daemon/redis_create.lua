#!lua
-- Writes the first cursor of a partition. KEYS: as for a claim. ARGV: its fields and values.
-- Returns 1; 0 when anything of the partition is there already, which is then left as it is: one that comes late must
-- not stand in for a cursor that was lost.
if redis.call('EXISTS', unpack(KEYS)) > 0 then
    return 0
end
redis.call('HSET', KEYS[1], unpack(ARGV))
return 1
