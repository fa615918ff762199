// SPDX-License-Identifier: MIT
// Deno: a server on the given port that answers with random numbers, one "NAME VALUE" a line.
import { randomBytes } from "node:crypto";
// What a program does that wants bytes of its own in each request.
const fromKernel = () => {
	using file = Deno.openSync("/dev/urandom");
	const bytes = new Uint8Array(8);
	file.readSync(bytes);
	return bytes;
};
const draw = () => ({
	"Math.random": Math.random(),
	"crypto.getRandomValues": crypto.getRandomValues(new Uint32Array(2)).join(),
	"crypto.randomUUID": crypto.randomUUID(),
	"node:crypto.randomBytes": randomBytes(8).toString("hex"),
	"/dev/urandom": fromKernel().join(),
});
Deno.serve({ port: +Deno.args[0], hostname: "127.0.0.1" }, () => new Response(
	Object.entries(draw()).map(([name, value]) => `${name} ${value}\n`).join("")));
