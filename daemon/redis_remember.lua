#!lua
-- Keeps texts of models beside the states, if the partition is the caller's: one that comes late, after another
-- owner's, would bring back what was at work before.
-- KEYS: cursor, models. ARGV: owner; the fields of models and their values. Returns OK, or {FENCED, owner, n}.
local held = redis.call('HMGET', KEYS[1], 'owner', 'n')
if held[1] ~= ARGV[1] then
    return {'FENCED', held[1] or '', held[2] or ''}
end
redis.call('HSET', KEYS[2], unpack(ARGV, 2))
return 'OK'
