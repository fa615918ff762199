// A storage program for Node.js. It needs koffi: npm install koffi
const koffi = require("koffi");

const library = koffi.load("libkvmserverguest.so");
const wait = library.func("int64_t kvmserverguest_storage_wait_paused(_Out_ void **buf, int64_t ret)");

// In a thread of its own: timers and connections go on meanwhile.
const next = (at, answer) =>
  new Promise((resolve, reject) =>
    wait.async(at, answer, (error, length) => (error ? reject(error) : resolve(length))));

async function main() {
  const at = [null];
  for (let answer = 0, count = 0; ;) {
    const length = await next(at, answer);
    if (length < 0) throw new Error("this is no storage program");
    const buffer = Buffer.from(koffi.view(at[0], length));
    const name = buffer.toString("utf8", 0, buffer.indexOf(0));
    answer = buffer.write(`Hello ${name}, number ${++count}`);
  }
}
main();
