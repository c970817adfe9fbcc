-- wrk: each request for another object: PREFIX<thread>.<n>/NAME. The origin shows its object
-- NAME under every such path. Arguments after `--`: seed (not used), PREFIX, then the names,
-- A-B for the numbers from A to B.
dofile(debug.getinfo(1, "S").source:match("@(.*/)") .. "common.lua")
local before, middle, name, first, count, at = nil, {}, "", 0, 0, 0
local thread = 0

function setup(t)
  thread = thread + 1
  t:set("number", thread)
end

function init(args)
  local low, high = args[3]:match("^(%d+)%-(%d+)$")
  if low then
    first, count = tonumber(low), tonumber(high) - tonumber(low) + 1
  else
    name, count = args[3], 0
  end
  before = "GET " .. args[2] .. number .. "."
  for i = 1, 500 do
    middle[i] = wrk.format("GET", "/", fields(i)):gsub("^GET /", "")
  end
end

function request()
  at = at + 1
  local which = count > 0 and tostring(first + at % count) or name
  return before .. at .. "/" .. which .. middle[at % 500 + 1]
end
