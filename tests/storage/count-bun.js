// As examples/storage, for Bun: "storage" or "request PORT".
import { dlopen, FFIType, ptr, toArrayBuffer } from "bun:ffi";

const { symbols: kvm } = dlopen("libkvmserverguest.so", {
  kvmserverguest_storage_wait_paused: { args: [FFIType.ptr, FFIType.i64], returns: FFIType.i64 },
  kvmserverguest_remote_resume: { args: [FFIType.ptr, FFIType.i64], returns: FFIType.i64 },
});

function storage() {
  const at = new BigUint64Array(1);
  for (let answer = 0, count = 0; ;) {
    const length = Number(kvm.kvmserverguest_storage_wait_paused(ptr(at), answer));
    if (length < 0) throw new Error("this is no storage program");
    const buffer = Buffer.from(toArrayBuffer(Number(at[0]), 0, length));
    const name = buffer.toString("utf8", 0, buffer.indexOf(0));
    answer = buffer.write(`Hello ${name}, number ${++count}`);
  }
}

function request(port) {
  let own = 0;
  Bun.serve({
    port,
    hostname: "127.0.0.1",
    fetch(request) {
      const buffer = Buffer.alloc(256);
      buffer.write(new URL(request.url).pathname.slice(1));
      const length = Number(kvm.kvmserverguest_remote_resume(ptr(buffer), buffer.length));
      return new Response(`${buffer.toString("utf8", 0, length)} (own count ${++own})\n`);
    },
  });
}

process.argv[2] === "storage" ? storage() : request(Number(process.argv[3]));
