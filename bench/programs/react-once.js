// SPDX-License-Identifier: MIT
// Deno: prints one page made by React (see page.js): what a process for each request does.
import { renderer } from "./page.js";

console.log(renderer(Deno.args[0])(1));
