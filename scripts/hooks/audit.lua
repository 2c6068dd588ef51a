-- Keeps a record of every change, under `audit/<revision>`: revisions ascend, so that the keys stand
-- in the order of the changes.
--
--   scripts:
--     - file: scripts/hooks/audit.lua
--       prefixes: [user/, order/]       # none: all keys
--       options: {under: audit/, keep: 30 days}

local under = kv.options.under or "audit/"
local keep = kv.options.keep or "30 days"

local function record(what, key, value, previous, meta)
  if key:sub(1, #under) == under then return end
  local id = string.format("%s%016d", under, meta.revision)
  local done, why = kv.set(id, {
    time = kv.now(), what = what, key = key, value = value, previous = previous,
  }, {ttl = keep})
  if not done then kv.log("error", "no record of", what, key, why) end
end

function on_set(key, value, meta, previous) record("set", key, value, previous, meta) end

function on_delete(key, last_value, meta) record("delete", key, nil, last_value, meta) end

function on_expire(key, last_value, meta) record("expire", key, nil, last_value, meta) end
