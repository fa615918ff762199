// The storage program: it alone may talk to Redis, over one connection that stays.
// Arguments: the port of Redis.
import { createClient } from "npm:redis";

const { symbols: kvm } = Deno.dlopen("libkvmserverguest.so", {
  kvmserverguest_storage_wait_paused: {
    parameters: ["buffer", "isize"],
    result: "isize",
    nonblocking: true,
  },
});

const redis = createClient({
  url: `redis://127.0.0.1:${Deno.args[0] ?? 6379}`,
  pingInterval: 5000,
  commandOptions: { timeout: 1000 },
  disableOfflineQueue: true, // an error at once rather than an answer some day
});
redis.on("error", (error) => console.error(`redis: ${error.message || error}`));
await redis.connect();

async function greet(name: string): Promise<string> {
  try {
    return `Hello ${name}, you are visitor ${await redis.incr("visitors")}`;
  } catch {
    return ""; // the caller says 503
  }
}

const decoder = new TextDecoder(), encoder = new TextEncoder();
const at = new BigUint64Array(1);
for (let answer = 0; ;) {
  const length = await kvm.kvmserverguest_storage_wait_paused(at, BigInt(answer));
  if (length < 0n) throw new Error("this is no storage program");
  const pointer = Deno.UnsafePointer.create(at[0])!;
  const buffer = new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(pointer, Number(length)));
  const greeting = await greet(decoder.decode(buffer.slice(0, buffer.indexOf(0))));
  answer = encoder.encodeInto(greeting, buffer).written;
}
