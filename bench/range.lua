-- wrk: ranges of one object at random offsets.
-- Arguments after `--`: seed, path, size of the object, length of a range.
dofile(debug.getinfo(1, "S").source:match("@(.*/)") .. "common.lua")
local made, at, count = {}, 0, 20000

function init(args)
  local path, size, length = args[2], tonumber(args[3]), tonumber(args[4])
  math.randomseed(tonumber(args[1]))
  for i = 1, count do
    local first = math.floor(math.random() * (size - length))
    local range = string.format("bytes=%.0f-%.0f", first, first + length - 1)
    made[i] = wrk.format("GET", path, fields(i, { ["Range"] = range }))
  end
end

function request()
  at = at % count + 1
  return made[at]
end
