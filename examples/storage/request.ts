// The program that serves requests, and calls storage.ts for what is to stay.
const { symbols: kvm } = Deno.dlopen("libkvmserverguest.so", {
  kvmserverguest_remote_resume: { parameters: ["buffer", "isize"], result: "isize" },
});

let own = 0; // in an ephemeral machine it is the same in every request
Deno.serve({ port: Number(Deno.args[0] ?? 8000), hostname: "127.0.0.1" }, (request) => {
  const buffer = new Uint8Array(256);
  new TextEncoder().encodeInto(new URL(request.url).pathname.slice(1), buffer);
  const length = Number(kvm.kvmserverguest_remote_resume(buffer, BigInt(buffer.length)));
  if (length < 0) return new Response("storage is not there\n", { status: 503 });
  const text = new TextDecoder().decode(buffer.subarray(0, length));
  return new Response(`${text} (own count ${++own})\n`);
});
