// SPDX-License-Identifier: MIT
// Deno: a server on the given port that answers every request with a page made by React (see page.js).
import { renderer } from "./page.js";

const [port, modules] = Deno.args;
const render = renderer(modules);
let count = 0;
const headers = { "content-type": "text/html" };
Deno.serve({ port: +port, hostname: "127.0.0.1" }, () => new Response(render(++count), { headers }));
