// SPDX-License-Identifier: MIT
// Node: a server that runs its handler in something new for each request: contexts.js PORT KIND [MODULES]
//	vm       a context of node:vm (no boundary against hostile code: its manual says so)
//	isolate  an isolate of isolated-vm, which is in the node_modules directory MODULES
//	worker   a thread of node:worker_threads
// The handler counts, as the others do, and so always answers 1.
"use strict";
const [port, kind, modules] = process.argv.slice(2);
const source = "let count = 0; const handle = () => ++count + '\\n';";
const kinds = { vm, isolate, worker };

function vm() {
	const { createContext, Script } = require("node:vm");
	const script = new Script(source + " handle()");
	return (response) => response.end(script.runInContext(createContext({})));
}

function isolate() {
	const { Isolate } = require(modules + "/isolated-vm");
	return (response) => {
		const isolate = new Isolate({ memoryLimit: 64 });
		const context = isolate.createContextSync();
		response.end(context.evalSync(source + " handle()"));
		context.release();
		isolate.dispose();
	};
}

function worker() {
	const { Worker } = require("node:worker_threads");
	const code = source + " require('node:worker_threads').parentPort.postMessage(handle())";
	return (response) => {
		const worker = new Worker(code, { eval: true });
		worker.once("message", (text) => response.end(text));
		worker.once("error", (error) => response.destroy(error));
	};
}

const handle = kinds[kind]();
require("node:http").createServer((request, response) => handle(response)).listen(+port, "127.0.0.1");
