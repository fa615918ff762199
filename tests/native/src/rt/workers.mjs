// SPDX-License-Identifier: MIT
// Node, Deno, Bun: worker threads that share memory, wait for each other, pass messages, throw
// and are terminated while they spin.
import { Worker, isMainThread, parentPort, workerData, MessageChannel } from "node:worker_threads";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(import.meta.url);
const N = 6, ROUNDS = 2000;
if (isMainThread) await main();
else work();

function start(data, options) {
	return new Worker(here, { workerData: data, ...options });
}

function message(worker) {
	return new Promise((resolve, reject) => {
		worker.once("message", resolve);
		worker.once("error", reject);
	});
}

async function main() {
	const shared = new SharedArrayBuffer(4096), cells = new Int32Array(shared);
	const adders = Array.from({ length: N }, (_, i) => start({ kind: "add", i, shared }));
	const exits = adders.map(w => new Promise(r => w.once("exit", r)));
	const done = await Promise.all(adders.map(message));
	await Promise.all(exits);
	console.log("adders", done.sort().join(), Atomics.load(cells, 0));

	const pair = [0, 1].map(i => start({ kind: "pingpong", i, shared }));
	console.log("ping-pong", (await Promise.all(pair.map(message))).join());

	const echo = start({ kind: "echo" });
	const ended = new Promise(r => echo.once("exit", r));
	const { port1, port2 } = new MessageChannel();
	echo.postMessage({ port: port2 }, [port2]);
	const buffer = new ArrayBuffer(1000000);
	new Uint8Array(buffer).fill(3);
	port1.postMessage(buffer, [buffer]);
	const back = await new Promise(r => port1.once("message", m => r(m)));
	console.log("moved", buffer.byteLength, back.byteLength, back[999999]);
	port1.close();
	console.log("exit", await ended);

	const wrong = start({ kind: "throw" });
	await message(wrong).catch(e => console.log("error", e.message));
	const spinning = start({ kind: "spin", shared });
	await message(spinning);
	await spinning.terminate();
	console.log("terminated");
}

function work() {
	const cells = workerData.shared && new Int32Array(workerData.shared);
	const { kind, i } = workerData;
	if (kind === "add") {
		for (let k = 0; k < 100000; k++) Atomics.add(cells, 0, 1);
		parentPort.postMessage(i);
	} else if (kind === "pingpong") {
		for (let k = 0; k < ROUNDS; k++) {
			for (let v; (v = Atomics.load(cells, 8)) % 2 !== i;) Atomics.wait(cells, 8, v);
			Atomics.add(cells, 8, 1);
			Atomics.notify(cells, 8);
		}
		parentPort.postMessage("side " + i);
	} else if (kind === "echo") {
		parentPort.once("message", ({ port }) => port.once("message", b => {
			const bytes = new Uint8Array(b);
			bytes[999999]++;
			port.postMessage(bytes, [bytes.buffer]);
			port.close();
		}));
	} else if (kind === "throw") {
		throw new Error("thrown in a worker");
	} else if (kind === "spin") {
		parentPort.postMessage("spinning");
		for (;;) Atomics.add(cells, 4, 1);
	}
}
