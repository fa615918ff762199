// SPDX-License-Identifier: MIT
// workerd: answers every request with the number of requests so far.
let count = 0;
export default { fetch: () => new Response(++count + "\n") };
