-- Keeps a record of every change.
--
--   scripts:
--     - file: ../scripts/hooks/audit.lua
--       prefixes: [user/, order/]                 # none: all keys
--       options: {under: audit/, keep: 30 days}   # keep: 0 is for ever
--
-- The record of a change of `user/7` is `audit/user/7/<revision>`, the revision in 16 digits, so a list of
-- them is in the order of the changes; the delimiter leaves out the records of keys below `user/7/`:
--
--   curl 'http://127.0.0.1:3000/storage?prefix=audit/user/7/&delimiter=/&values=true'
--
-- A record has `what` (set, delete or expire), `key`, `revision`, `time`, `value` and `previous`. Clients
-- cannot write these keys. A record that could not be written is logged.

for name in pairs(kv.options) do
  if name ~= "under" and name ~= "keep" then kv.fault(name, "this option is unknown (there are: under, keep)") end
end
local under = kv.options.under or "audit/"
if under == "" then kv.fault("under", "a prefix is expected") end
local keep, why_not = kv.duration(kv.options.keep or "30 days")
if not keep then kv.fault("keep", why_not) end
kv.protect(under)

local function record(what, key, value, previous, meta)
  if key:sub(1, #under) == under then return end
  local done, why = kv.set(("%s%s/%016d"):format(under, key, meta.revision), {
    what = what, key = key, revision = meta.revision, time = kv.now(), value = value, previous = previous,
  }, {ttl = keep})
  if not done then kv.log("error", "no record of", what, key, why) end
end

function on_set(key, value, meta, previous) record("set", key, value, previous, meta) end

function on_delete(key, last_value, meta) record("delete", key, nil, last_value, meta) end

function on_expire(key, last_value, meta) record("expire", key, nil, last_value, meta) end
