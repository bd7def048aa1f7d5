#!lua name=mayfly_1
-- One function per transition of a lease. Each is atomic, declares all its keys (they share one hash tag), and gives
-- every key that it writes a TTL before it returns. The rules are those of lease.py; a test runs both side by side.
--
-- lease hash: state, expire and granted (Unix ms), owner, verifier, nonce, policy, segments, size,
--             outcome, reason, ended (Unix ms), c:<holder> = holding:ordinal:micros, x:<holder> = expected.
-- Purge passes its own time: the registry's clock only ever counts TTLs down.

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

-- KEYS lease, due. ARGV photo_id, expire, ttl (ms, grace included), granted, owner, verifier, nonce, policy.
local function grant(keys, args)
  if redis.call('EXISTS', keys[1]) == 1 then return 'EXISTS' end
  redis.call('HSET', keys[1], 'state', 'granted', 'expire', args[2], 'granted', args[4], 'owner', args[5],
    'verifier', args[6], 'nonce', args[7], 'policy', args[8])
  redis.call('PEXPIRE', keys[1], args[3])
  redis.call('ZADD', keys[2], args[2], args[1])
  live_at_least(keys[2], tonumber(args[3]))
  return 'OK'
end

-- KEYS lease. ARGV change (H, R or L), holder, ordinal, micros. Returns the state, or GONE.
local function custody(keys, args)
  local state = redis.call('HGET', keys[1], 'state')
  if not state then return 'GONE' end
  local change, field, ordinal = args[1], 'c:' .. args[2], tonumber(args[3])
  local known = redis.call('HGET', keys[1], field)
  local holding, last, micros = nil, '-1', '0'
  if known then holding, last, micros = string.match(known, '^(%u):(%d+):(%d+)$') end
  local fresh = ordinal > tonumber(last)
  if change == 'H' then
    if holding ~= 'L' and fresh then
      redis.call('HSET', keys[1], field, 'H:' .. args[3] .. ':' .. micros)
      if state == 'granted' then
        state = 'active'
        redis.call('HSET', keys[1], 'state', state)
      end
    end
  elseif holding == 'H' and change == 'L' then
    redis.call('HSET', keys[1], field, 'L:' .. last .. ':' .. micros)
  elseif holding == 'H' and fresh then
    local sum = string.format('%.0f', tonumber(micros) + tonumber(args[4]))
    redis.call('HSET', keys[1], field, 'R:' .. args[3] .. ':' .. sum)
  end
  return state
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

-- KEYS lease. ARGV now, SHA-256 of the claim secret, then the owner's possible pseudonyms.
-- Returns {OK, expire, segments}, {WAIT} while it is being made, or {GONE}.
local function claim(keys, args)
  local state = live_state(keys[1], args[1])
  if not state or redis.call('HGET', keys[1], 'verifier') ~= args[2] then return { 'GONE' } end
  if not belongs_to(keys[1], args, 3) or state == 'claimed' then return { 'GONE' } end
  if state ~= 'parked' then return { 'WAIT' } end
  redis.call('HSET', keys[1], 'state', 'claimed')
  local record = redis.call('HMGET', keys[1], 'expire', 'segments')
  return { 'OK', record[1], record[2] }
end

-- KEYS lease. ARGV now, SHA-256 of the claim secret.
local function return_claim(keys, args)
  local state = live_state(keys[1], args[1])
  if state ~= 'claimed' or redis.call('HGET', keys[1], 'verifier') ~= args[2] then return 'GONE' end
  redis.call('HSET', keys[1], 'state', 'parked')
  return 'OK'
end

-- KEYS lease, parked. ARGV outcome, reason, ended. The first decision stands; the picture goes at once.
-- Returns the whole record, empty if there is none.
local function decide(keys, args)
  local state = redis.call('HGET', keys[1], 'state')
  redis.call('DEL', keys[2])
  if not state then return {} end
  if LIVE[state] then
    redis.call('HSET', keys[1], 'state', 'ending', 'outcome', args[1], 'reason', args[2], 'ended', args[3])
  end
  return redis.call('HGETALL', keys[1])
end

-- KEYS lease, parked, due, receipt. ARGV photo_id, receipt ('' for none), the receipt's ttl (ms).
local function finish(keys, args)
  if args[2] ~= '' then redis.call('SET', keys[4], args[2], 'PX', args[3]) end
  redis.call('DEL', keys[1], keys[2])
  redis.call('ZREM', keys[3], args[1])
  return 'OK'
end

-- KEYS owner. ARGV photo_id, ttl (ms).
local function own(keys, args)
  redis.call('SADD', keys[1], args[1])
  live_at_least(keys[1], tonumber(args[2]))
  return 'OK'
end

-- KEYS quota. ARGV limit, ttl (ms). Returns 1 if one more is within the limit, else 0.
local function count(keys, args)
  if tonumber(redis.call('GET', keys[1]) or '0') >= tonumber(args[1]) then return 0 end
  redis.call('INCR', keys[1])
  live_at_least(keys[1], tonumber(args[2]))
  return 1
end

redis.register_function('mayfly_1_grant', grant)
redis.register_function('mayfly_1_custody', custody)
redis.register_function('mayfly_1_park_begin', park_begin)
redis.register_function('mayfly_1_park_segment', park_segment)
redis.register_function('mayfly_1_park_seal', park_seal)
redis.register_function('mayfly_1_claim', claim)
redis.register_function('mayfly_1_return_claim', return_claim)
redis.register_function('mayfly_1_decide', decide)
redis.register_function('mayfly_1_finish', finish)
redis.register_function('mayfly_1_own', own)
redis.register_function('mayfly_1_count', count)
