// SPDX-License-Identifier: MIT
// Node: a server on the given port that answers every request alike.
require("http")
	.createServer((request, response) => response.end("hello\n"))
	.listen(+process.argv[2], "127.0.0.1");
