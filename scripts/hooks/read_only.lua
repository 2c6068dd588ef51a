-- Refuses writes and deletes in a daily window of time, in UTC.
--
--   scripts:
--     - file: ../scripts/hooks/read_only.lua
--       prefixes: [config/]                       # none: all keys
--       options: {from: "22:00", to: "06:00", days: sat sun, reason: closed until morning}
--
-- The window may reach over midnight; then it belongs to the day on which it begins. Without `days` it
-- is every day.

local MINUTES_A_DAY = 24 * 60
local names = {"thu", "fri", "sat", "sun", "mon", "tue", "wed"} -- 1970 began with a Thursday

local known = {from = true, to = true, days = true, reason = true}
for name in pairs(kv.options) do
  if not known[name] then
    error("options." .. name .. " is not known; there are from, to, days and reason", 0)
  end
end

local function minutes(name)
  local text = kv.options[name] or error("options." .. name .. " must be a time such as 22:00", 0)
  local hour, minute = text:match("^(%d%d?):(%d%d)$")
  local result = hour and hour * 60 + minute
  if not result or result > MINUTES_A_DAY or minute + 0 > 59 then
    error("options." .. name .. " must be a time such as 22:00, got " .. text, 0)
  end
  return result
end

local from, to = minutes("from"), minutes("to")
if from == to then error("options.to is the same time as options.from", 0) end
local reason = kv.options.reason
  or "read-only from " .. kv.options.from .. " to " .. kv.options.to .. " UTC"

local days
for name in (kv.options.days or ""):gmatch("[^%s,]+") do
  days = days or {}
  for place, day in ipairs(names) do
    if day == name then days[place], name = true, nil end
  end
  if name then
    error("options.days: there is no day " .. name .. "; there are mon tue wed thu fri sat sun", 0)
  end
end

-- `day` counts from 1970.
local function is_on(day)
  return days == nil or days[day % 7 + 1] == true
end

local function is_closed()
  local now = kv.now() // 60000
  local day, minute = now // MINUTES_A_DAY, now % MINUTES_A_DAY
  if from <= to then return is_on(day) and minute >= from and minute < to end
  return is_on(day) and minute >= from or is_on(day - 1) and minute < to
end

function before_set()
  if is_closed() then kv.refuse(reason) end
end

function before_delete()
  if is_closed() then kv.refuse(reason) end
end
