-- SPDX-License-Identifier: MIT
-- A server on the given port that answers every request with the number of requests so far.
local server = assert(require("socket").bind("127.0.0.1", tonumber(arg[1])))
local count = 0
while true do
	local client = server:accept()
	while client do
		local line, last = client:receive("*l"), false
		if not line then break end
		while line and line ~= "" do
			last = last or line:lower() == "connection: close"
			line = client:receive("*l")
		end
		count = count + 1
		local body = count .. "\n"
		client:send("HTTP/1.1 200 OK\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body)
		if last then break end
	end
	client:close()
end
