// SPDX-License-Identifier: MIT
// Node, Deno, Bun: an HTTP server and its clients in one process: bodies both ways, keep-alive,
// a unix socket, datagrams, a connection that is refused.
import http from "node:http";
import net from "node:net";
import dgram from "node:dgram";
import { once } from "node:events";

const server = http.createServer((request, response) => {
	const chunks = [];
	request.on("data", c => chunks.push(c));
	request.on("end", () => {
		const body = Buffer.concat(chunks);
		if (request.url === "/large") {
			let left = 80;
			const more = () => left-- ? response.write(Buffer.alloc(65536, left), more) : response.end();
			more();
			return;
		}
		response.setHeader("x-method", request.method);
		response.end(body.reverse());
	});
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const port = server.address().port;

function ask(path, { method = "GET", body, agent } = {}) {
	return new Promise((resolve, reject) => {
		const request = http.request({ port, host: "127.0.0.1", path, method, agent }, async response => {
			const chunks = [];
			for await (const c of response) chunks.push(c);
			resolve([response.statusCode, response.headers["x-method"], Buffer.concat(chunks)]);
		});
		request.on("error", reject);
		request.end(body);
	});
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
let right = 0;
await Promise.all(Array.from({ length: 300 }, async (_, i) => {
	const text = `request ${i} `.repeat(i * 7 % 200 + 1);
	const [code, method, got] = await ask("/x", { method: "POST", body: text, agent });
	right += code === 200 && method === "POST" && got.toString() === [...text].reverse().join("");
}));
agent.destroy();
console.log("posts", right);
const [, , large] = await ask("/large");
console.log("large", large.length, large[0], large[large.length - 1]);
const answer = await fetch(`http://127.0.0.1:${port}/f`, { method: "PUT", body: "fetched" });
console.log("fetch", answer.status, await answer.text());
server.close();
server.closeAllConnections?.();
await fetch("http://127.0.0.1:1/").catch(() => console.log("refused"));

const unix = net.createServer(s => s.pipe(s)).listen("echo.sock");
await once(unix, "listening");
const client = net.connect("echo.sock");
client.end("over a unix socket");
let text = "";
for await (const c of client) text += c;
console.log(text);
unix.close();

const udp = dgram.createSocket("udp4");
udp.bind(0, "127.0.0.1");
await once(udp, "listening");
udp.send("datagram", udp.address().port, "127.0.0.1");
const [message] = await once(udp, "message");
console.log(message.toString());
udp.close();
