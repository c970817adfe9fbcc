-- wrk: GET PREFIX1 .. PREFIXN, drawn Zipf-like (log-uniform: each decade equally often).
-- Arguments after `--`: seed, PREFIX, N, how many to draw, an entity tag for If-None-Match or
-- -, and perhaps OBJECTS: then the path of n ends in /NAME, which is n % OBJECTS + 1. All requests are made before the clock starts: wrk is not to be the slow one.
dofile(debug.getinfo(1, "S").source:match("@(.*/)") .. "common.lua")
local made, at, count = {}, 0, 0

function init(args)
  local prefix, objects, draws = args[2], tonumber(args[3]), tonumber(args[4])
  local more = args[5] ~= "-" and { ["If-None-Match"] = args[5] } or nil
  local names = tonumber(args[6] or "")
  math.randomseed(tonumber(args[1]))
  count = draws
  for i = 1, count do
    local n = math.floor(objects ^ math.random())
    local path = prefix .. n .. (names and "/" .. (n % names + 1) or "")
    made[i] = wrk.format("GET", path, fields(i, more))
  end
end

function request()
  at = at % count + 1
  return made[at]
end
