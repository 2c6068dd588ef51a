-- Keeps e-mail addresses in one form, trimmed and in lower case: as the member `email` of a value, and
-- as the end of a key. A value written to `user/Ann@Example.org` moves to `user/ann@example.org`, with its
-- remaining TTL; or the write is refused.
--
--   scripts:
--     - file: ../scripts/hooks/email.lua
--       prefixes: [user/]
--       options: {member: email, keys: move}        # keys: move, refuse, or keep

for name in pairs(kv.options) do
  if name ~= "member" and name ~= "keys" then kv.fault(name, "this option is unknown (there are: member, keys)") end
end
local member = kv.options.member or "email"
if member == "" then kv.fault("member", "a name is expected") end
local keys = kv.options.keys or "move"
if keys ~= "move" and keys ~= "refuse" and keys ~= "keep" then
  kv.fault("keys", "move, refuse or keep is expected, not " .. keys)
end

local function normal(address)
  return address:match("^%s*(.-)%s*$"):lower()
end

-- The key with the part after the last slash in normal form, if that is an address.
local function normal_key(key)
  local at = #key
  while at > 0 and key:byte(at) ~= 47 do at = at - 1 end
  local address = key:sub(at + 1)
  if #address > 254 or not address:find("@", 1, true) then return key end
  return key:sub(1, at) .. normal(address)
end

function before_set(key, value)
  if keys == "refuse" and normal_key(key) ~= key then
    kv.refuse("the key is " .. normal_key(key))
  end
  local address = type(value) == "table" and value[member]
  if type(address) ~= "string" then return end
  if #address > 254 or not address:find("^[^@]+@[^@]+$") then
    kv.refuse(member .. " is no e-mail address")
  end
  value[member] = normal(address)
  return value
end

function on_set(key, value, meta)
  local to = normal_key(key)
  if keys ~= "move" or to == key then return end
  local moved, why = kv.set(to, value, {ttl = meta.ttl})
  if moved then
    kv.delete(key, {if_revision = meta.revision})
  else
    kv.log("error", key, "stays where it is:", why)
  end
end
