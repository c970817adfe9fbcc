-- Headers that vary per request, as a CDN in front would send them.
local i = 0
function request()
  i = i + 1
  return wrk.format("GET", "/obj/" .. (i % 10000), {
    ["Host"] = "cdn.example.com",
    ["X-Request-Id"] = tostring(math.random(1e9)),
    ["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
    ["Accept"] = "*/*",
    ["Accept-Encoding"] = "gzip, br",
    ["X-Forwarded-For"] = "203.0.113." .. (i % 250),
  })
end
