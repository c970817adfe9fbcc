-- wrk: nine of ten requests are for PREFIX1 .. PREFIXN, drawn Zipf-like, one is for an object
-- that nobody has asked for yet, COLD<n>/NAME. Objects are of 1 KiB to 4 MiB: number i has
-- 2^(i % 13) KiB, and NAME is 1 to 13 like that. Arguments after `--`: seed, PREFIX, N, COLD,
-- how many requests to make up.
dofile(debug.getinfo(1, "S").source:match("@(.*/)") .. "common.lua")
local made, at, count = {}, 0, 20000

function init(args)
  local prefix, objects, cold = args[2], tonumber(args[3]), args[4]
  count = tonumber(args[5])
  math.randomseed(tonumber(args[1]))
  for i = 1, count do
    local path = prefix .. math.floor(objects ^ math.random())
    if math.random() < 0.1 then
      path = cold .. i .. "/" .. math.random(13)
    end
    made[i] = wrk.format("GET", path, fields(i))
  end
end

function request()
  at = at + 1
  if at > count then
    error("more requests than were made beforehand: a shorter run, please")
  end
  return made[at]
end
