// SPDX-License-Identifier: MIT
// Bun: a server on the given port that answers every request with the number of requests so far.
let count = 0;
Bun.serve({
	port: +process.argv[2], hostname: "127.0.0.1",
	fetch: () => new Response(++count + "\n"),
});
