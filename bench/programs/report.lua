-- SPDX-License-Identifier: MIT
-- wrk: what bench/lib/load.py reads: microseconds, and counts.
function done(summary, latency, requests)
	local e = summary.errors
	print(string.format(
		"RESULT %.3f %d %d %d %d %d %d %d %d %d %d", latency.mean, latency:percentile(50),
		latency:percentile(90), latency:percentile(99), latency.max, summary.requests, summary.duration,
		e.connect + e.write, e.read, e.timeout, e.status))
end
