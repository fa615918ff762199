// SPDX-License-Identifier: MIT
// Deno: a server on the given port that answers every request alike.
Deno.serve({ port: +Deno.args[0], hostname: "127.0.0.1" }, () => new Response("hello\n"));
