#!lua
-- Keeps texts of models beside the states, fenced as a flush is: one that came late would bring back what was at work
-- before. And counted as one: if Redis loses the texts later, it shows.
-- KEYS: cursor, models. ARGV: owner, n; the fields of models and their values. Returns OK, or {FENCED, owner, n}.
local held = redis.call('HMGET', KEYS[1], 'owner', 'n', 'sizes')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then
    return {'FENCED', held[1] or '', held[2] or ''}
end
redis.call('HSET', KEYS[2], unpack(ARGV, 3))
local n = redis.call('HINCRBY', KEYS[1], 'n', 1)
local sizes = held[3] and string.match(held[3], '^(.*)@' .. held[2] .. '$')
if sizes then
    redis.call('HSET', KEYS[1], 'sizes', sizes .. '@' .. n)
end
return 'OK'
