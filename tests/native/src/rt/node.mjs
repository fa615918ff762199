// SPDX-License-Identifier: MIT
// Node's own: TLS, the module of old, contexts, signals, an engine under garbage, standard input,
// many timers, dns, watching files, and an end by an exception that nobody caught.
import { createRequire } from "node:module";
import fs from "node:fs";
import os from "node:os";
import tls from "node:tls";
import vm from "node:vm";
import dns from "node:dns/promises";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { performance } from "node:perf_hooks";
import v8 from "node:v8";

const require = createRequire(import.meta.url);
console.log(process.version, require("node:path").join("a", "..", "b"), os.cpus().length > 0, os.platform());

const key = Buffer.alloc(16, 5), ciphers = "PSK-AES128-GCM-SHA256", maxVersion = "TLSv1.2";
const server = tls.createServer({ ciphers, maxVersion, pskCallback: () => key }, s => s.pipe(s));
server.listen(0, "127.0.0.1");
await once(server, "listening");
const client = tls.connect({ port: server.address().port, host: "127.0.0.1", ciphers, maxVersion,
	checkServerIdentity() {}, pskCallback: () => ({ psk: key, identity: "x" }) });
await once(client, "secureConnect");
client.end(Buffer.alloc(300000, 1));
let length = 0;
for await (const c of client) length += c.length;
console.log(client.getCipher()?.name ?? ciphers, length);
server.close();

console.log(vm.runInNewContext("x + 1", { x: 41 }));
try {
	vm.runInNewContext("for (;;);", {}, { timeout: 50 });
} catch (e) {
	console.log(e.code);
}

const kept = new Map();
for (let i = 0; i < 400000; i++) {
	kept.set(i % 5000, { i, text: "text " + i, list: [i, i + 1] });
}
console.log(kept.size, kept.get(4999).text, v8.getHeapStatistics().used_heap_size > 1e6);
const deep = n => n ? 1 + deep(n + 1) : 0;
for (let i = 0; i < 3; i++) {
	try {
		deep(1);
	} catch (e) {
		console.log(e.name);
	}
}

let text = "";
for await (const c of process.stdin) text += c;
console.log(text.length, text.split("\n").length);

const start = performance.now();
await Promise.all(Array.from({ length: 500 }, (_, i) => sleep(i % 50)));
console.log(performance.now() - start >= 48);
console.log((await dns.lookup("localhost", { family: 4 })).address);

const watcher = fs.watch(".");
const change = once(watcher, "change");
fs.writeFileSync("appeared", "");
console.log(await change);
watcher.close();

const alive = setInterval(() => {}, 1000); // waiting for a signal keeps no loop alive
for (const signal of ["SIGUSR2", "SIGHUP", "SIGWINCH"]) {
	const got = once(process, signal);
	process.kill(process.pid, signal);
	console.log(await got);
}
clearInterval(alive);
const atomics = new Int32Array(new SharedArrayBuffer(4));
console.log(Atomics.wait(atomics, 0, 0, 20));
const report = await new Promise(r => fs.readFile("/proc/self/status", "utf8", (e, t) => r(t)));
console.log(/^Name:\tnode$/m.test(report), process.title.length > 0, process.uptime() > 0, process.memoryUsage().rss > 1e6);
process.on("exit", code => console.log("exit", code));
queueMicrotask(() => { throw new TypeError("nobody catches this"); });
