// A storage program for Deno: it counts, and writes a greeting into the caller's buffer.
//   kvmserver -e --allow-all storage deno run --allow-all storage.ts ++ run deno run --allow-all request.ts
const { symbols: kvm } = Deno.dlopen("libkvmserverguest.so", {
  kvmserverguest_storage_wait_paused: {
    parameters: ["buffer", "isize"],
    result: "isize",
    nonblocking: true, // timers and connections go on meanwhile
  },
});

let count = 0;
const at = new BigUint64Array(1); // where the buffer is
for (let answer = 0; ;) {
  const length = await kvm.kvmserverguest_storage_wait_paused(at, BigInt(answer));
  if (length < 0n) throw new Error("this is no storage program");
  const pointer = Deno.UnsafePointer.create(at[0]);
  const buffer = new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(pointer!, Number(length)));
  const name = new TextDecoder().decode(buffer.slice(0, buffer.indexOf(0)));
  answer = new TextEncoder().encodeInto(`Hello ${name}, number ${++count}`, buffer).written;
}
