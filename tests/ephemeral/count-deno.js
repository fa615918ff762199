// SPDX-License-Identifier: MIT
// Deno: a server on the given port that answers every request with the number of requests so far.
let count = 0;
Deno.serve({ port: +Deno.args[0], hostname: "127.0.0.1" }, () => new Response(++count + "\n"));
