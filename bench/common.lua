-- What the scripts for wrk share: fields as a browser behind a CDN sends them, some of them
-- different in every request, and the line of JSON at the end.
local agents = {
  "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 Version/17.5 Safari/605.1.15",
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0",
}
local languages = { "en-US,en;q=0.9", "de-DE,de;q=0.9,en;q=0.6", "fr-FR,fr;q=0.8", "ja;q=0.9,en;q=0.5" }

-- Return the fields of the i-th request; more: others that it has besides.
function fields(i, more)
  local found = {
    ["Host"] = "assets.example.com",
    ["User-Agent"] = agents[i % 3 + 1],
    ["Accept"] = "*/*",
    ["Accept-Encoding"] = "gzip, br",
    ["Accept-Language"] = languages[i % 4 + 1],
    ["Cookie"] = string.format("session=%x; theme=%d", i * 2654435761 % 4294967296, i % 2),
    ["X-Request-Id"] = tostring(i * 40503 % 1000000007),
    ["X-Forwarded-For"] = "203.0.113." .. (i % 250),
  }
  for name, value in pairs(more or {}) do
    found[name] = value
  end
  return found
end

function done(summary, latency, requests)
  io.write(string.format(
    '{"requests": %d, "bytes": %d, "us": %d, "bad_status": %d, "broken": %d, "p50_us": %d, "p99_us": %d}\n',
    summary.requests, summary.bytes, summary.duration, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
