-- wrk: PREFIX1/NAME .. PREFIXN/NAME, each once, the threads each a part. NAME is n % OBJECTS + 1.
-- Arguments after `--`: threads, PREFIX, N, OBJECTS. A thread that has all its answers prints
-- `done`; whoever started wrk ends it then with SIGINT, for it goes on until its time is over.
dofile(debug.getinfo(1, "S").source:match("@(.*/)") .. "common.lua")
local at, last, answered, share = 0, 0, 0, 0
local prefix, objects, tail
local thread, looked_at = 0, false

function setup(t)
  thread = thread + 1
  t:set("number", thread)
end

function init(args)
  local threads, all = tonumber(args[1]), tonumber(args[3])
  prefix, objects = args[2], tonumber(args[4])
  at = math.floor(all * (number - 1) / threads)
  last = math.floor(all * number / threads)
  share = last - at
  tail = wrk.format("GET", "/", fields(number)):gsub("^GET /", "")
end

function request()
  if number == 1 and not looked_at then
    looked_at = true -- wrk makes the first thread's first request just to look at it
  else
    -- When all have been asked for, those connections that are free ask for the last again.
    at = math.min(at + 1, last)
  end
  return "GET " .. prefix .. at .. "/" .. (at % objects + 1) .. tail
end

function response()
  answered = answered + 1
  -- Answers come in any order: with as many more as there are connections, the share is whole.
  if answered == share + 64 then
    io.write("done\n")
    io.flush()
  end
end
