// SPDX-License-Identifier: MIT
// Prints the answer to one request: what a process for each request does.
let count = 0;
console.log(++count);
