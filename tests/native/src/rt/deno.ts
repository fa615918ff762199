// SPDX-License-Identifier: MIT
// Deno's own: fetch from Deno.serve, websockets, libc through dlopen, web workers, node:sqlite,
// signals, files, timers.
interface Answer {
	body: string;
	method: string;
}

async function web() {
	const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async request => {
		if (request.headers.get("upgrade") === "websocket") {
			const { socket, response } = Deno.upgradeWebSocket(request);
			socket.onmessage = e => socket.send(e.data + "!");
			return response;
		}
		const answer: Answer = { body: await request.text(), method: request.method };
		return Response.json(answer);
	});
	const url = `127.0.0.1:${server.addr.port}/`;
	const answers = await Promise.all(Array.from({ length: 200 }, async (_, i) => {
		const got = await fetch("http://" + url, { method: "POST", body: "x".repeat(i * 100) });
		const { body, method }: Answer = await got.json();
		return body.length === i * 100 && method === "POST";
	}));
	console.log("fetched", answers.filter(a => a).length);
	const socket = new WebSocket("ws://" + url);
	await new Promise(r => socket.onopen = r);
	const message = new Promise<MessageEvent>(r => socket.onmessage = r);
	socket.send("hello");
	console.log((await message).data);
	const closed = new Promise(r => socket.onclose = r);
	socket.close();
	await closed;
	await server.shutdown();

	const controller = new AbortController();
	const silent = Deno.listen({ port: 0, hostname: "127.0.0.1" });
	setTimeout(() => controller.abort(), 30);
	await fetch(`http://127.0.0.1:${silent.addr.port}/`, { signal: controller.signal })
		.catch(e => console.log(e.name));
	silent.close();
}

async function ffi() {
	const libc = Deno.dlopen("libc.so.6", {
		getpid: { parameters: [], result: "i32" },
		strlen: { parameters: ["buffer"], result: "usize" },
		abs: { parameters: ["i32"], result: "i32" },
		usleep: { parameters: ["u32"], result: "i32", nonblocking: true },
		qsort: { parameters: ["buffer", "usize", "usize", "function"], result: "void" },
		syscall: { parameters: ["i64"], result: "i64" },
	});
	const c = libc.symbols;
	console.log(c.getpid() === Deno.pid, c.strlen(new TextEncoder().encode("twelve chars\0")), c.abs(-5));
	console.log(Number(c.syscall(39n)) === Deno.pid);
	let sum = 0;
	for (let i = 1; i < 300000; i++) sum += c.abs(-i);
	console.log(sum);
	console.log(await Promise.all([c.usleep(20000), c.usleep(10000), c.usleep(1)]));
	const numbers = new Int32Array([5, 3, 9, -1, 7, 0]);
	const compare = new Deno.UnsafeCallback({ parameters: ["pointer", "pointer"], result: "i32" } as const, (a, b) =>
		new Deno.UnsafePointerView(a!).getInt32() - new Deno.UnsafePointerView(b!).getInt32());
	c.qsort(numbers, 6n, 4n, compare.pointer);
	console.log(numbers.join());
	compare.close();
	libc.close();
}

async function workers() {
	const source = `
		self.onmessage = e => {
			if (e.data === "throw") throw new Error("thrown");
			let sum = 0;
			for (let i = 0; i < e.data; i++) sum += i % 7;
			self.postMessage(sum);
		};`;
	const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
	const sums = await Promise.all(Array.from({ length: 6 }, (_, i) => new Promise(resolve => {
		const worker = new Worker(url, { type: "module" });
		worker.onmessage = e => {
			resolve(e.data);
			worker.terminate();
		};
		worker.postMessage(1000000 + i);
	})));
	console.log(sums.join());
	const wrong = new Worker(url, { type: "module" });
	wrong.postMessage("throw");
	await new Promise<void>(r => wrong.onerror = e => {
		console.log(e.message);
		e.preventDefault();
		r();
	});
}

async function sqlite() {
	const { DatabaseSync } = await import("node:sqlite");
	const db = new DatabaseSync("data.db");
	db.exec("PRAGMA journal_mode=wal; CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, data BLOB)");
	const insert = db.prepare("INSERT INTO t(name, data) VALUES (?, ?)");
	db.exec("BEGIN");
	for (let i = 0; i < 2000; i++) insert.run(`name ${i % 100}`, new Uint8Array(100).fill(i));
	db.exec("COMMIT");
	console.log(db.prepare("SELECT count(*) AS n, sum(length(data)) AS s FROM t").get());
	console.log(db.prepare("SELECT name, count(*) AS c FROM t GROUP BY name ORDER BY name LIMIT 3").all());
	try {
		db.exec("SELECT nope FROM t");
	} catch (e) {
		console.log((e as Error).message);
	}
	db.close();
}

async function system() {
	const caught = new Promise<void>(r => {
		const handler = () => {
			Deno.removeSignalListener("SIGUSR2", handler);
			r();
		};
		Deno.addSignalListener("SIGUSR2", handler);
	});
	Deno.kill(Deno.pid, "SIGUSR2");
	await caught;
	console.log("SIGUSR2");
	await Deno.mkdir("d/e", { recursive: true });
	await Promise.all(Array.from({ length: 100 }, (_, i) => Deno.writeTextFile(`d/e/${i}`, `file ${i}`)));
	const names = [];
	for await (const entry of Deno.readDir("d/e")) names.push(entry.name);
	console.log(names.length, names.includes("57"));
	await Deno.readTextFile("absent").catch(e => console.log(e.name, e.code));
	const watcher = Deno.watchFs("d");
	setTimeout(() => Deno.writeTextFileSync("d/new", ""), 20);
	for await (const event of watcher) {
		if (event.kind !== "create") continue;
		console.log(event.kind, event.paths[0].endsWith("d/new"));
		break;
	}
	const file = await Deno.open("d/new", { write: true, read: true });
	await file.lock(true);
	await file.write(new Uint8Array(5));
	await file.unlock();
	console.log((await file.stat()).size);
	file.close();
	const deep = (n: number): number => n ? 1 + deep(n + 1) : 0;
	try {
		deep(1);
	} catch (e) {
		console.log((e as Error).name);
	}
}

await web();
await ffi();
await workers();
await sqlite();
await system();
Deno.exit(3);
