-- Keeps a record of every change. A client that knows a key finds all of its records.
--
--   scripts:
--     - file: ../scripts/hooks/audit.lua
--       prefixes: [user/, order/]                 # none: all keys
--       options: {under: audit/, keep: 30 days}   # keep: 0 is for ever
--
-- `audit/last/<key>` names the newest record of a key: `{"record": "audit/log/<key>/<revision>", …}`. A
-- record has `what` (set, delete or expire), `key`, `revision`, `time`, `value`, `previous`, and in
-- `before` the key of the record before it. So `GET audit/last/user/7`, then its `record`, then the
-- `before` of that, and so on; the oldest has no `before`, or one that has expired.
--
-- Clients cannot write these keys. A record that could not be written is logged; the others stay linked.
-- The records of several keys by time need a list of keys by prefix, which is not there yet.

for name in pairs(kv.options) do
  if name ~= "under" and name ~= "keep" then kv.fault(name, "this option is unknown (there are: under, keep)") end
end
local under = kv.options.under or "audit/"
if under == "" then kv.fault("under", "a prefix is expected") end
local keep, why_not = kv.duration(kv.options.keep or "30 days")
if not keep then kv.fault("keep", why_not) end
kv.protect(under)

-- The changes of a key come one after the other, so nobody else writes what this has read.
local function record(what, key, value, previous, meta)
  if key:sub(1, #under) == under then return end
  local head = under .. "last/" .. key
  local id = under .. "log/" .. key .. ("/%016d"):format(meta.revision)
  local last, why = kv.get(head)
  local done = last ~= nil or why == nil
  if done then
    done, why = kv.set(id, {
      what = what, key = key, revision = meta.revision, time = kv.now(), value = value,
      previous = previous, before = last and last.record,
    }, {ttl = keep})
  end
  if done then
    done, why = kv.set(head, {record = id, what = what, revision = meta.revision}, {ttl = keep})
  end
  if not done then kv.log("error", "no record of", what, key, why) end
end

function on_set(key, value, meta, previous) record("set", key, value, previous, meta) end

function on_delete(key, last_value, meta) record("delete", key, nil, last_value, meta) end

function on_expire(key, last_value, meta) record("expire", key, nil, last_value, meta) end
