// SPDX-License-Identifier: MIT
// Bun's own: Bun.serve and fetch, bun:sqlite, bun:ffi, its hashes and files, workers.
import { Database } from "bun:sqlite";
import { CString, dlopen, FFIType, JSCallback, ptr } from "bun:ffi";

const server = Bun.serve({
	port: 0, hostname: "127.0.0.1",
	fetch(request, server) {
		if (server.upgrade(request)) return;
		return request.text().then(t => new Response(t + "!"));
	},
	websocket: { message: (socket, m) => void socket.send(m + "?") },
});
const answers = await Promise.all(Array.from({ length: 200 }, async (_, i) => {
	const got = await fetch(server.url, { method: "POST", body: "y".repeat(i * 50) });
	return (await got.text()).length === i * 50 + 1;
}));
console.log("fetched", answers.filter(a => a).length);
const socket = new WebSocket(server.url.href.replace("http", "ws"));
await new Promise(r => socket.onopen = r);
const message = new Promise<MessageEvent>(r => socket.onmessage = r);
socket.send("really");
console.log((await message).data);
socket.close();
server.stop(true);

const db = new Database("data.db");
db.run("CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT)");
const insert = db.prepare("INSERT INTO t(name) VALUES (?)");
db.transaction(() => {
	for (let i = 0; i < 2000; i++) insert.run("name " + i % 10);
})();
console.log(db.query("SELECT name, count(*) c FROM t GROUP BY name ORDER BY name LIMIT 2").all());
db.close();

const libc = dlopen("libc.so.6", {
	getpid: { args: [], returns: FFIType.i32 },
	strlen: { args: [FFIType.ptr], returns: FFIType.u64 },
	abs: { args: [FFIType.i32], returns: FFIType.i32 },
});
console.log(libc.symbols.getpid() === process.pid, libc.symbols.strlen(ptr(Buffer.from("eleven char\0"))),
	libc.symbols.abs(-4));
libc.close();

console.log(Bun.hash("text"), Bun.CryptoHasher.hash("sha256", "text", "hex"));
const hashed = await Bun.password.hash("secret", { algorithm: "argon2id", memoryCost: 64, timeCost: 1 });
console.log(await Bun.password.verify("secret", hashed), await Bun.password.verify("wrong", hashed));
await Bun.write("file", "some text".repeat(1000));
console.log((await Bun.file("file").text()).length, await Bun.file("absent").exists());
console.log(Bun.gunzipSync(Bun.gzipSync(Buffer.alloc(100000))).length);

const url = URL.createObjectURL(new Blob(["onmessage = e => postMessage(e.data.map(x => x * 2))"]));
const doubled = await Promise.all([1, 2, 3, 4].map(n => new Promise<number[]>(resolve => {
	const worker = new Worker(url);
	worker.onmessage = e => {
		resolve(e.data);
		worker.terminate();
	};
	worker.postMessage([n, n + 1]);
})));
console.log(doubled.join());
const built = await Bun.build({ entrypoints: ["./part.ts"], minify: true });
console.log(built.success, (await built.outputs[0].text()).length > 10);
process.on("SIGUSR2", () => {
	console.log("SIGUSR2");
	process.exit(9);
});
process.kill(process.pid, "SIGUSR2");
setTimeout(() => {}, 5000);
