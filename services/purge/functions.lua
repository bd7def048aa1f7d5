#!lua name=mayfly_2
-- One function per transition of a lease. Each is atomic, declares all its keys (they share one hash tag), and gives
-- every key that it writes a TTL before it returns. The rules are those of lease.py; a test runs both side by side.
--
-- lease hash: state, expire and granted (Unix ms), owner, verifier, nonce, policy, home, segments, size, claimant,
--             repeated (the claimant has come again), term, outcome, reason, ended (Unix ms), c:<holder> = holding:ordinal:micros, x:<holder> = expected.
-- home is the replica of purge that ends the lease. Whoever is not (any more) is answered MOVED: that is the fence.
-- Purge passes its own time: the registry's clock only ever counts TTLs down.
-- What ends leases is allowed when memory is full (allow-oom), what begins them is not.

local LIVE = { granted = true, active = true, parked = true, claimed = true }

-- A key that outlives its lease would be a remain, one that goes before it a loss: it rolls with the longest.
local function live_at_least(key, ttl)
  if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, ttl) end
end

-- The state if the lease lives and is not overdue, else nil.
local function live_state(lease, now)
  local record = redis.call('HMGET', lease, 'state', 'expire')
  if record[1] and LIVE[record[1]] and tonumber(now) < tonumber(record[2]) then return record[1] end
  return nil
end

local function belongs_to(lease, owners, first)
  local owner = redis.call('HGET', lease, 'owner')
  for i = first, #owners do
    if owners[i] == owner then return true end
  end
  return false
end

-- KEYS lease, due, receipt. ARGV photo_id, expire, ttl (ms, grace included), granted, owner, verifier, nonce, policy,
-- home. A grant that arrives after its lease's end, having been given up on, must not bring it back.
local function grant(keys, args)
  if redis.call('EXISTS', keys[1], keys[3]) > 0 then return 'EXISTS' end
  redis.call('HSET', keys[1], 'state', 'granted', 'expire', args[2], 'granted', args[4], 'owner', args[5],
    'verifier', args[6], 'nonce', args[7], 'policy', args[8], 'home', args[9])
  redis.call('PEXPIRE', keys[1], args[3])
  redis.call('ZADD', keys[2], args[2], args[1])
  live_at_least(keys[2], tonumber(args[3]))
  return 'OK'
end

-- 'GONE', 'MOVED', or nil if the lease is this replica's.
local function not_ours(lease, home)
  local record = redis.call('HMGET', lease, 'state', 'home')
  if not record[1] then return 'GONE' end
  if record[2] ~= home then return 'MOVED' end
  return nil
end

-- One report: change is H, R or L.
local function report(lease, change, holder, ordinal, micros)
  local field = 'c:' .. holder
  local known = redis.call('HGET', lease, field)
  local holding, last, sum = nil, '-1', '0'
  if known then holding, last, sum = string.match(known, '^(%u):(%d+):(%d+)$') end
  local fresh = tonumber(ordinal) > tonumber(last)
  if change == 'H' then
    if holding ~= 'L' and fresh then
      redis.call('HSET', lease, field, 'H:' .. ordinal .. ':' .. sum)
      if redis.call('HGET', lease, 'state') == 'granted' then redis.call('HSET', lease, 'state', 'active') end
    end
  elseif holding == 'H' and change == 'L' then
    redis.call('HSET', lease, field, 'L:' .. last .. ':' .. sum)
  elseif holding == 'H' and fresh then
    sum = string.format('%.0f', tonumber(sum) + tonumber(micros))
    redis.call('HSET', lease, field, 'R:' .. ordinal .. ':' .. sum)
  end
end

-- Reports stand in args from ``first`` on, four words each: change, holder, ordinal, micros.
local function reports(lease, args, first)
  for at = first, #args, 4 do report(lease, args[at], args[at + 1], args[at + 2], args[at + 3]) end
end

-- KEYS lease. ARGV home, then reports. Returns the state, GONE or MOVED.
local function custody(keys, args)
  local refusal = not_ours(keys[1], args[1])
  if refusal then return refusal end
  reports(keys[1], args, 2)
  return redis.call('HGET', keys[1], 'state')
end

-- KEYS lease, parked. ARGV now, then the holders to expect. Forgets what an earlier attempt left.
local function park_begin(keys, args)
  local state = live_state(keys[1], args[1])
  if not state then return 'GONE' end
  if state ~= 'granted' and state ~= 'active' then return 'STATE' end
  for i = 2, #args do redis.call('HSET', keys[1], 'x:' .. args[i], '') end
  redis.call('DEL', keys[2])
  redis.call('HSET', keys[1], 'segments', 0, 'size', 0)
  return 'OK'
end

-- KEYS lease, parked. ARGV now, index (from 0), most bytes of all segments together, segment.
local function park_segment(keys, args)
  local state = live_state(keys[1], args[1])
  if not state then return 'GONE' end
  local record = redis.call('HMGET', keys[1], 'segments', 'size')
  if state == 'parked' or state == 'claimed' or record[1] ~= args[2] then return 'STATE' end
  local size = tonumber(record[2]) + #args[4]
  if size > tonumber(args[3]) then return 'SIZE' end
  redis.call('RPUSH', keys[2], args[4])
  redis.call('PEXPIRE', keys[2], redis.call('PTTL', keys[1]))
  redis.call('HSET', keys[1], 'segments', tonumber(args[2]) + 1, 'size', string.format('%.0f', size))
  return 'OK'
end

-- KEYS lease, parked. ARGV now, number of segments.
local function park_seal(keys, args)
  local state = live_state(keys[1], args[1])
  if not state then return 'GONE' end
  if state == 'parked' or state == 'claimed' then return 'STATE' end
  if redis.call('HGET', keys[1], 'segments') ~= args[2] then return 'COUNT' end
  if redis.call('LLEN', keys[2]) ~= tonumber(args[2]) then return 'COUNT' end
  redis.call('HSET', keys[1], 'state', 'parked')
  return 'OK'
end

-- KEYS lease. ARGV now, SHA-256 of the claim secret, claimant, then the owner's possible pseudonyms.
-- Returns {OK, expire, segments, NEW or AGAIN}, {WAIT} while it is being made, or {GONE}. Whoever has claimed it may
-- claim it again.
local function claim(keys, args)
  local state = live_state(keys[1], args[1])
  if not state or redis.call('HGET', keys[1], 'verifier') ~= args[2] then return { 'GONE' } end
  if not belongs_to(keys[1], args, 4) then return { 'GONE' } end
  if state == 'claimed' then
    if redis.call('HGET', keys[1], 'claimant') ~= args[3] then return { 'GONE' } end
    redis.call('HSET', keys[1], 'repeated', '1')
  elseif state == 'parked' then
    redis.call('HSET', keys[1], 'state', 'claimed', 'claimant', args[3])
  else
    return { 'WAIT' }
  end
  local record = redis.call('HMGET', keys[1], 'expire', 'segments')
  return { 'OK', record[1], record[2], state == 'claimed' and 'AGAIN' or 'NEW' }
end

-- KEYS lease. ARGV now, SHA-256 of the claim secret, claimant. A claim that was repeated stays: whoever gives the first
-- one back does not know what the second one has sent.
local function return_claim(keys, args)
  local state = live_state(keys[1], args[1])
  if state ~= 'claimed' then return 'GONE' end
  local record = redis.call('HMGET', keys[1], 'verifier', 'claimant', 'repeated')
  if record[1] ~= args[2] or record[2] ~= args[3] or record[3] then return 'GONE' end
  redis.call('HSET', keys[1], 'state', 'parked')
  redis.call('HDEL', keys[1], 'claimant')
  return 'OK'
end

local function delete_lease(keys, photo_id)
  redis.call('DEL', keys[1], keys[2])
  redis.call('ZREM', keys[3], photo_id)
end

local function keep_receipt(key, receipt, ttl)
  if receipt ~= '' then redis.call('SET', key, receipt, 'PX', ttl) end
end

-- KEYS lease, parked, due, receipt. ARGV photo_id, home, receipt ('' for none), the receipt's ttl (ms), then reports.
-- The whole end of a lease that nobody holds any more: OK. HELD: somebody does. ENDED: its end was decided before.
local function end_if_released(keys, args)
  local refusal = not_ours(keys[1], args[2])
  if refusal then return refusal end
  reports(keys[1], args, 5)
  local fields = redis.call('HGETALL', keys[1])
  for at = 1, #fields, 2 do
    local name, value = fields[at], fields[at + 1]
    if name == 'state' and not LIVE[value] then return 'ENDED' end
    if string.sub(name, 1, 2) == 'c:' and string.sub(value, 1, 1) == 'H' then return 'HELD' end
  end
  keep_receipt(keys[4], args[3], args[4])
  delete_lease(keys, args[1])
  return 'OK'
end

-- KEYS lease, parked. ARGV home, outcome, reason, ended, then reports. The first decision stands; the picture goes at
-- once. Returns the whole record, {} if there is none, {MOVED} if it isn't this replica's.
local function decide(keys, args)
  local refusal = not_ours(keys[1], args[1])
  if refusal == 'MOVED' then return { 'MOVED' } end
  redis.call('DEL', keys[2])
  if refusal then return {} end
  reports(keys[1], args, 5)
  if LIVE[redis.call('HGET', keys[1], 'state')] then
    redis.call('HSET', keys[1], 'state', 'ending', 'outcome', args[2], 'reason', args[3], 'ended', args[4])
  end
  return redis.call('HGETALL', keys[1])
end

-- KEYS lease, parked, due, receipt. ARGV photo_id, home, receipt, the receipt's ttl (ms).
-- The point of no return of an end that was decided: from here on exactly this receipt is its home's to log, and all
-- other keys are gone. GONE: without a record nothing changes.
local function commit(keys, args)
  local refusal = not_ours(keys[1], args[2])
  if refusal then return refusal end
  keep_receipt(keys[4], args[3], args[4])
  delete_lease(keys, args[1])
  return 'OK'
end

-- KEYS lease, parked, due, receipt. ARGV photo_id, home, receipt ('' for none), the receipt's ttl (ms).
-- OK also without a record: the receipt is then kept all the same.
local function finish(keys, args)
  if not_ours(keys[1], args[2]) == 'MOVED' then return 'MOVED' end
  keep_receipt(keys[4], args[3], args[4])
  delete_lease(keys, args[1])
  return 'OK'
end

-- KEYS lease. ARGV from, to, term. Makes ``to`` the lease's home, if ``from`` is and no later leader has adopted it.
-- Returns the whole record, {} if there is none, {MOVED} if it is another's.
local function adopt(keys, args)
  local refusal = not_ours(keys[1], args[1])
  if refusal == 'MOVED' then return { 'MOVED' } end
  if refusal then return {} end
  if tonumber(redis.call('HGET', keys[1], 'term') or '0') > tonumber(args[3]) then return { 'MOVED' } end
  redis.call('HSET', keys[1], 'home', args[2], 'term', args[3])
  -- Holders count their reports for each replica apart: what they tell this one begins anew.
  local fields = redis.call('HGETALL', keys[1])
  for at = 1, #fields, 2 do
    if string.sub(fields[at], 1, 2) == 'c:' then
      local holding, sum = string.match(fields[at + 1], '^(%u):%d+:(%d+)$')
      redis.call('HSET', keys[1], fields[at], holding .. ':0:' .. sum)
    end
  end
  return redis.call('HGETALL', keys[1])
end

-- KEYS owner. ARGV photo_id, expire (ms), now, ttl (ms). Leases that have expired are forgotten on the way.
local function own(keys, args)
  redis.call('ZREMRANGEBYSCORE', keys[1], '-inf', args[3])
  redis.call('ZADD', keys[1], args[2], args[1])
  live_at_least(keys[1], tonumber(args[4]))
  return 'OK'
end

-- KEYS owner. ARGV photo_ids whose leases have ended.
local function disown(keys, args)
  redis.call('ZREM', keys[1], unpack(args))
  return 'OK'
end

-- KEYS quota. ARGV ttl (ms). Returns the count, this one included.
local function count(keys, args)
  local number = redis.call('INCR', keys[1])
  live_at_least(keys[1], tonumber(args[1]))
  return number
end

-- KEYS replica. ARGV the process's random token, address, ttl (ms). KEPT: it was seen all the time since its last beat.
-- NEW: it was not.
local function beat(keys, args)
  local value = args[1] .. ' ' .. args[2]
  local kept = redis.call('GET', keys[1]) == value
  redis.call('SET', keys[1], value, 'PX', args[3])
  return kept and 'KEPT' or 'NEW'
end

-- KEYS leader, term. ARGV the candidate, ttl (ms), now (ms), the term's ttl (ms).
-- Returns {leader, term}. A term is larger than every one before it, also after the registry has lost the last one.
local function campaign(keys, args)
  local leader = redis.call('GET', keys[1])
  if not leader then
    leader = args[1]
    local last = tonumber(redis.call('GET', keys[2]) or '0')
    local term = string.format('%.0f', math.max(last + 1, tonumber(args[3])))
    redis.call('SET', keys[2], term, 'PX', args[4])
  end
  if leader == args[1] then
    redis.call('SET', keys[1], leader, 'PX', args[2])
    redis.call('PEXPIRE', keys[2], args[4])
  end
  return { leader, redis.call('GET', keys[2]) or '0' }
end

-- KEYS leader, term. ARGV the candidate. Gives the leadership back.
local function resign(keys, args)
  if redis.call('GET', keys[1]) == args[1] then redis.call('DEL', keys[1]) end
  return 'OK'
end

-- Segments come as arguments and replies. Lua keeps what nobody refers to any more until it collects, and the server keeps
-- the first 16 KiB of the last reply that a function got (PROTO_REPLY_CHUNK_BYTES): a longer one takes its place.
local function rinse()
  redis.call('PING', string.rep(' ', 24576))
  collectgarbage()
  return 'OK'
end

-- KEYS parked. ARGV which segment, bytes. Returns {segments, size of that one, its first bytes}: attestation looks at
-- no more of a picture than that, ciphertext though it is. To be followed by rinse.
local function sample(keys, args)
  local number = redis.call('LLEN', keys[1])
  if number == 0 then return { 0, 0, '' } end
  local segment = redis.call('LINDEX', keys[1], tonumber(args[1]) % number)
  return { number, #segment, string.sub(segment, 1, tonumber(args[2])) }
end

local ENDING = { 'allow-oom' }
redis.register_function('mayfly_2_grant', grant)
redis.register_function { function_name = 'mayfly_2_rinse', callback = rinse, flags = { 'no-writes', 'allow-oom' } }
redis.register_function { function_name = 'mayfly_2_custody', callback = custody, flags = ENDING }
redis.register_function('mayfly_2_park_begin', park_begin)
redis.register_function('mayfly_2_park_segment', park_segment)
redis.register_function('mayfly_2_park_seal', park_seal)
redis.register_function { function_name = 'mayfly_2_claim', callback = claim, flags = ENDING }
redis.register_function { function_name = 'mayfly_2_return_claim', callback = return_claim, flags = ENDING }
redis.register_function { function_name = 'mayfly_2_end_if_released', callback = end_if_released, flags = ENDING }
redis.register_function { function_name = 'mayfly_2_decide', callback = decide, flags = ENDING }
redis.register_function { function_name = 'mayfly_2_commit', callback = commit, flags = ENDING }
redis.register_function { function_name = 'mayfly_2_finish', callback = finish, flags = ENDING }
redis.register_function { function_name = 'mayfly_2_adopt', callback = adopt, flags = ENDING }
redis.register_function('mayfly_2_own', own)
redis.register_function { function_name = 'mayfly_2_disown', callback = disown, flags = ENDING }
redis.register_function('mayfly_2_count', count)
redis.register_function { function_name = 'mayfly_2_beat', callback = beat, flags = ENDING }
redis.register_function { function_name = 'mayfly_2_campaign', callback = campaign, flags = ENDING }
redis.register_function { function_name = 'mayfly_2_resign', callback = resign, flags = ENDING }
redis.register_function { function_name = 'mayfly_2_sample', callback = sample, flags = { 'no-writes', 'allow-oom' } }
