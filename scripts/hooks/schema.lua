-- Refuses values that do not fit the schema of their key's prefix.
--
--   scripts:
--     - file: ../scripts/hooks/schema.lua
--       options:
--         user/: '{"type": "object", "required": ["name"], "additionalProperties": false,
--                  "properties": {"name": {"type": "string", "minLength": 1},
--                                 "age": {"type": "integer", "minimum": 0}}}'
--
-- Each option is a prefix and its schema; if several match, the longest prefix counts. The supported part
-- of JSON Schema: type (a name or a list of them), enum, const, minimum, maximum, minLength,
-- maxLength (in characters), pattern (of Lua), items, minItems, maxItems, required, properties,
-- additionalProperties (false). Anything else in a schema is an error when the script is loaded.

local function type_of(value)
  if value == kv.null then return "null" end
  if kv.is_array(value) then return "array" end
  if type(value) == "table" then return "object" end
  if type(value) == "userdata" then return "number" end -- beyond Lua's numbers
  return type(value)
end

local types = {
  null = true, boolean = true, number = true, integer = true, string = true, array = true, object = true,
}

local function is_text(value) return type(value) == "string" end
local function is_type(value) return types[value] == true end
local function is_number(value) return type_of(value) == "number" end
local function is_count(value) return math.type(value) == "integer" and value >= 0 end
local function is_object(value) return type(value) == "table" and not kv.is_array(value) end

local function is_list_of(value, test)
  if not kv.is_array(value) then return false end
  for _, one in ipairs(value) do
    if not test(one) then return false end
  end
  return true
end

-- For each member of a schema: a check of its value, and a description of valid values.
local members = {
  type = {
    function(value) return is_type(value) or is_list_of(value, is_type) end,
    "null, boolean, number, integer, string, array, object, or a list of these",
  },
  enum = {kv.is_array, "a list of values"},
  const = {function() return true end, "a value"},
  minimum = {is_number, "a number"},
  maximum = {is_number, "a number"},
  minLength = {is_count, "a number of characters"},
  maxLength = {is_count, "a number of characters"},
  pattern = {function(value) return is_text(value) and pcall(string.find, "", value) end, "a pattern of Lua"},
  items = {is_object, "a schema"},
  minItems = {is_count, "a number of elements"},
  maxItems = {is_count, "a number of elements"},
  required = {function(value) return is_list_of(value, is_text) end, "a list of names"},
  properties = {is_object, "an object of schemas"},
  additionalProperties = {function(value) return value == false end, "false"},
  title = {is_text, "a text"},
  description = {is_text, "a text"},
}

-- Reports all faults of a schema. where: "", or its place in the schema of the prefix.
local function check_schema(prefix, schema, where)
  if not is_object(schema) then
    kv.fault(prefix, where .. "a schema is an object")
    return
  end
  for name, value in pairs(schema) do
    local member = members[name]
    if not member then
      kv.fault(prefix, where .. name .. " is not supported")
    elseif not member[1](value) then
      kv.fault(prefix, where .. name .. " is " .. member[2] .. ", not " .. kv.encode(value))
    end
  end
  if is_object(schema.properties) then
    for name, inner in pairs(schema.properties) do
      check_schema(prefix, inner, where .. "properties." .. name .. ": ")
    end
  end
  if is_object(schema.items) then check_schema(prefix, schema.items, where .. "items: ") end
end

if next(kv.options) == nil then kv.fault("", "a prefix, and its schema, is expected") end
local schemas = {}
for prefix, text in pairs(kv.options) do
  local is_json, schema = pcall(kv.decode, text)
  if is_json then
    check_schema(prefix, schema, "")
    schemas[#schemas + 1] = {prefix = prefix, schema = schema}
  else
    kv.fault(prefix, schema)
  end
end
table.sort(schemas, function(a, b) return #a.prefix > #b.prefix end)

local function has_type(value, wanted)
  local found = type_of(value)
  if wanted == "integer" then
    return found == "number" and kv.tonumber(value) % 1 == 0
  end
  return found == wanted
end

local function same(a, b)
  return kv.encode(a) == kv.encode(b)
end

-- Returns the fault; nil if there is none.
local check

local function check_array(value, schema, where)
  if schema.minItems and #value < schema.minItems then return where .. " has too few elements" end
  if schema.maxItems and #value > schema.maxItems then return where .. " has too many elements" end
  for i, element in ipairs(schema.items and value or {}) do
    local fault = check(element, schema.items, where .. "[" .. i - 1 .. "]")
    if fault then return fault end
  end
end

local function check_object(value, schema, where)
  for _, name in ipairs(schema.required or {}) do
    if value[name] == nil then return where .. " lacks " .. name end
  end
  for name, member in pairs(value) do
    local inner = (schema.properties or {})[name]
    local fault
    if inner then
      fault = check(member, inner, where .. "." .. name)
    elseif schema.additionalProperties == false then
      fault = where .. " may not have " .. name
    end
    if fault then return fault end
  end
end

local function check_string(value, schema, where)
  local length = utf8.len(value) or #value
  if schema.minLength and length < schema.minLength then return where .. " is too short" end
  if schema.maxLength and length > schema.maxLength then return where .. " is too long" end
  if schema.pattern and not value:find(schema.pattern) then
    return where .. " does not match " .. schema.pattern
  end
end

local function check_number(value, schema, where)
  local number = kv.tonumber(value)
  if schema.minimum and number < schema.minimum then return where .. " is too small" end
  if schema.maximum and number > schema.maximum then return where .. " is too large" end
end

local checks = {
  array = check_array, object = check_object, string = check_string, number = check_number,
}

local function check_type(value, types, where)
  if type(types) == "string" then types = {types} end
  for _, wanted in ipairs(types) do
    if has_type(value, wanted) then return nil end
  end
  return where .. " is " .. type_of(value) .. ", not " .. table.concat(types, " or ")
end

function check(value, schema, where)
  local fault = schema.type and check_type(value, schema.type, where)
  if fault then return fault end
  if schema.const ~= nil and not same(value, schema.const) then
    return where .. " is not " .. kv.encode(schema.const)
  end
  local is_listed = schema.enum == nil
  for _, one in ipairs(schema.enum or {}) do is_listed = is_listed or same(value, one) end
  if not is_listed then return where .. " is none of " .. kv.encode(schema.enum) end
  local further = checks[type_of(value)]
  return further and further(value, schema, where)
end

function before_set(key, value)
  for _, one in ipairs(schemas) do
    if key:sub(1, #one.prefix) == one.prefix then
      local fault = check(value, one.schema, "value")
      if fault then kv.refuse(fault) end
      return
    end
  end
end
