// The program that serves requests, and calls storage.js. Argument: the port to listen on.
const http = require("node:http");
const koffi = require("koffi");

const library = koffi.load("libkvmserverguest.so");
const resume = library.func("int64_t kvmserverguest_remote_resume(void *buf, int64_t len)");

let own = 0; // in an ephemeral machine it is the same in every request
http.createServer((request, response) => {
  const buffer = Buffer.alloc(256);
  buffer.write(request.url.slice(1));
  const length = resume(buffer, buffer.length);
  if (length < 0) response.writeHead(503);
  response.end(`${buffer.toString("utf8", 0, Math.max(length, 0))} (own count ${++own})\n`);
}).listen(Number(process.argv[2] ?? 8000), "127.0.0.1");
