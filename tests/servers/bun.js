// SPDX-License-Identifier: MIT
// Bun: a server on the given port that answers every request alike.
Bun.serve({ port: +process.argv[2], hostname: "127.0.0.1", fetch: () => new Response("hello\n") });
