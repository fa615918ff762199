-- SPDX-License-Identifier: MIT
-- wrk: counts the answers that are not 200 with the body given as the script's argument.
local all = {}

function setup(thread)
	table.insert(all, thread)
end

function init(args)
	expected = args[1]
	wrong = 0
	sample = ""
end

function response(status, headers, body)
	if status ~= 200 or body ~= expected .. "\n" then
		wrong = wrong + 1
		sample = status .. " " .. body
	end
end

function done(summary, latency, requests)
	local sum, sample = 0, ""
	for _, thread in ipairs(all) do
		sum = sum + thread:get("wrong")
		sample = sample .. thread:get("sample")
	end
	print("wrong: " .. sum .. " " .. sample)
end
