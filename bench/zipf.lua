-- wrk: GET /obj/1 .. /obj/N, drawn Zipf-like (log-uniform: each decade equally often), with
-- the headers of a browser behind a CDN, some of them different in every request.
-- Arguments after `--`: the number of objects. Ends with one line of JSON.
local numbers, at = {}, 0
local agents = {
  "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 Version/17.5 Safari/605.1.15",
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0",
}

function init(args)
  local objects = tonumber(args[1] or "10000")
  math.randomseed(os.time())
  for i = 1, 20000 do
    numbers[i] = math.floor(objects ^ math.random())
  end
end

function request()
  at = at % #numbers + 1
  return wrk.format("GET", "/obj/" .. numbers[at], {
    ["Host"] = "assets.example.com",
    ["User-Agent"] = agents[at % 3 + 1],
    ["Accept"] = "*/*",
    ["Accept-Encoding"] = "gzip, br",
    ["X-Request-Id"] = tostring(math.random(1000000000)),
    ["X-Forwarded-For"] = "203.0.113." .. (at % 250),
  })
end

function done(summary, latency, requests)
  io.write(string.format(
    '{"requests": %d, "bytes": %d, "us": %d, "bad_status": %d, "broken": %d, "p50_us": %d, "p99_us": %d}\n',
    summary.requests, summary.bytes, summary.duration, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
