-- Refuses writes and deletes in a daily window of time, in UTC.
--
--   scripts:
--     - file: ../scripts/hooks/read_only.lua
--       prefixes: [config/]                       # none: all keys
--       options: {from: "22:00", to: "06:00", days: sat sun, reason: closed until morning}
--
-- The window may extend past midnight; then it belongs to the day on which it starts. Without `days`, it
-- applies every day.

local MINUTES_A_DAY = 24 * 60
local names = {"thu", "fri", "sat", "sun", "mon", "tue", "wed"} -- 1970 began with a Thursday

local known = {from = true, to = true, days = true, reason = true}
for name in pairs(kv.options) do
  if not known[name] then
    kv.fault(name, "this option is unknown (there are: from, to, days, reason)")
  end
end

-- Returns: nil if the option is not a time.
local function minutes(name)
  local text = kv.options[name]
  local hour, minute = (text or ""):match("^(%d%d?):(%d%d)$")
  local result = hour and hour * 60 + minute
  if result and result <= MINUTES_A_DAY and minute + 0 <= 59 then return result end
  kv.fault(name, "a time such as 22:00 is expected" .. (text and ", not " .. text or ""))
end

local from, to = minutes("from"), minutes("to")
if from and from == to then kv.fault("to", "this is the same time as `from`") end

local days
for name in (kv.options.days or ""):gmatch("[^%s,]+") do
  days = days or {}
  for place, day in ipairs(names) do
    if day == name then days[place], name = true, nil end
  end
  if name then
    kv.fault("days", "there is no day " .. name .. " (there are: mon, tue, wed, thu, fri, sat, sun)")
  end
end

local reason = kv.options.reason
  or from and to and "read-only from " .. kv.options.from .. " to " .. kv.options.to .. " UTC"

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
