#!lua
-- One flush of a partition: written whole, or not at all.
--
-- Redis runs a script alone, but rolls nothing back: so all that can go wrong is looked at first. Out of
-- memory is refused before the first line (its flags, none, ask for that), then owner, n, types and sizes are
-- checked, and only then is something written.
--
-- KEYS: cursor, due, stat; the buckets of each split, from and to; the bucket of each run of writes.
-- ARGV: owner, n, how many arguments the cursor, the statistics, and the dues to set and to lower take, how
-- many splits, and the length of each run as one byte; then, in this order:
-- cursor, statistics; of each split: HLEN of the old bucket, how many move; the moved fields with their
-- states; of each run: its fields with their states; dues to set (+inf: to remove) and to lower (score, member).
-- Returns OK, or with nothing written: {FENCED, owner, n}, {MISMATCH, bucket, HLEN}, or {LOST, sizes as the last flush
-- left them, sizes}. Sizes are how many deadlines and statistics there are: the cursor's field `sizes` holds them, with
-- the n that they belong to, so that one which a former version has not kept up says nothing.
local call = redis.call
local cursor, due, stat = KEYS[1], KEYS[2], KEYS[3]
local ncursor, nstat = tonumber(ARGV[3]), tonumber(ARGV[4])
local nset, nlower, nsplits = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local runs = ARGV[8]
local at = 8 -- the last argument taken

-- Calls a command with the next n arguments, some at a time: unpack gives up at a few thousand.
local function take(n, command, key, option)
    local last = at + n
    while at < last do
        local to = math.min(at + 1000, last)
        if option then
            call(command, key, option, unpack(ARGV, at + 1, to))
        else
            call(command, key, unpack(ARGV, at + 1, to))
        end
        at = to
    end
end

local held = call('HMGET', cursor, 'owner', 'n', 'sizes')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then
    return {'FENCED', held[1] or '', held[2] or ''}
end
local sizes = call('ZCARD', due) .. ' ' .. call('HLEN', stat)
local left = held[3] and string.match(held[3], '^(.*)@' .. held[2] .. '$')
if left and left ~= sizes then
    return {'LOST', left, sizes}
end

-- A bucket can be split twice in one flush, or right after it was made by a split: sizes are followed.
local first_split = at + ncursor + nstat
local size = {}
for s = 1, nsplits do
    local from, to = KEYS[2 + 2 * s], KEYS[3 + 2 * s]
    local expected = tonumber(ARGV[first_split + 2 * s - 1])
    local moved = tonumber(ARGV[first_split + 2 * s])
    for _, bucket in ipairs({from, to}) do
        size[bucket] = size[bucket] or call('HLEN', bucket)
    end
    if size[from] ~= expected then
        return {'MISMATCH', from, tostring(size[from])}
    elseif size[to] ~= 0 then
        return {'MISMATCH', to, tostring(size[to])}
    end
    size[from], size[to] = expected - moved, moved
end
local first_run = 3 + 2 * nsplits
for i = first_run + 1, #KEYS do
    call('HLEN', KEYS[i])
end

-- From here on nothing fails. Redis 6.2, which knows no flags, refuses the first write for want of memory, if
-- any: so that must be one that needs some (HSET), not one that does not (HDEL, ZREM).
take(ncursor, 'HSET', cursor)
take(nstat, 'HSET', stat)

at = first_split + 2 * nsplits
local tag = string.sub(cursor, 1, -string.len(':cursor') - 1)
local member_at = string.len(tag .. ':b:') + 1
for s = 1, nsplits do
    local from, to = KEYS[2 + 2 * s], KEYS[3 + 2 * s]
    local first, moved = at + 1, tonumber(ARGV[first_split + 2 * s])
    take(2 * moved, 'HSET', to)
    for i = first, at, 2 do
        call('HDEL', from, ARGV[i])
    end
    local score = call('ZSCORE', due, string.sub(from, member_at))
    if score then
        call('ZADD', due, score, string.sub(to, member_at))
    end
end

for i = 1, string.len(runs) do
    local last = at + 2 * string.byte(runs, i)
    call('HSET', KEYS[first_run + i], unpack(ARGV, at + 1, last))
    at = last
end

-- A bucket's score can be set, or removed as of now, and then lowered for what else is written to it. What is
-- to go goes last, and is not asked for after that: a cluster's node that is handing a slot over refuses a key
-- that is not there, and so one that vanished for a moment would end the script midway. (A split makes a new
-- key: there it does not even begin.)
take(nset, 'ZADD', due)
take(nlower, 'ZADD', due, 'LT')
local dues = call('ZCARD', due)
if nset > 0 then
    dues = dues - call('ZREMRANGEBYSCORE', due, '+inf', '+inf')
end
call('HSET', cursor, 'sizes', dues .. ' ' .. call('HLEN', stat) .. '@' .. call('HGET', cursor, 'n'))
return 'OK'
