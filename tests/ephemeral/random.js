// SPDX-License-Identifier: MIT
// Node and Bun: a server on the given port that answers with random numbers, one "NAME VALUE" a line.
const crypto = require("crypto");
const fs = require("fs");
// What a program does that wants bytes of its own in each request.
const fromKernel = () => {
	const bytes = Buffer.alloc(8), fd = fs.openSync("/dev/urandom");
	fs.readSync(fd, bytes);
	fs.closeSync(fd);
	return bytes;
};
const draw = () => ({
	"Math.random": Math.random(),
	"crypto.randomBytes": crypto.randomBytes(8).toString("hex"),
	"crypto.randomUUID": crypto.randomUUID(),
	"crypto.getRandomValues": crypto.webcrypto.getRandomValues(new Uint32Array(2)).join(),
	"crypto.randomInt": crypto.randomInt(2 ** 40),
	"/dev/urandom": fromKernel().toString("hex"),
});
require("http")
	.createServer((request, response) => response.end(
		Object.entries(draw()).map(([name, value]) => `${name} ${value}\n`).join("")))
	.listen(+process.argv[2], "127.0.0.1");
