-- Counts the keys of each prefix, under `count/<name>`, where clients can read the number and
-- subscribe to it.
--
--   scripts:
--     - file: ../scripts/hooks/counter.lua
--       options: {users: user/, orders: order/}     # name: prefix
--
-- Clients cannot write these keys. Keys that existed before the script are not counted; to set the initial
-- number, import it, as imports call no hooks: `{"key": "count/users", "value": 1200}`.

if next(kv.options) == nil then
  kv.fault("", "a name, and the prefix of the keys that it counts, is expected")
end
kv.protect("count/")

local function add(key, by)
  for name, prefix in pairs(kv.options) do
    if key:sub(1, #prefix) == prefix then
      local sum, why = kv.incr("count/" .. name, by)
      if not sum then kv.log("error", "count/" .. name, "missed", by, why) end
    end
  end
end

function on_set(key, _, _, previous)
  if previous == nil then add(key, 1) end
end

function on_delete(key) add(key, -1) end

function on_expire(key) add(key, -1) end
