// SPDX-License-Identifier: MIT
// Node: a server on the given port that answers every request with the number of requests so far.
let count = 0;
require("http")
	.createServer((request, response) => response.end(++count + "\n"))
	.listen(+process.argv[2], "127.0.0.1");
