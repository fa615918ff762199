// The program that serves requests: it may do nothing but listen, and call remote.ts.
// Arguments: the port to listen on.
const { symbols: kvm } = Deno.dlopen("libkvmserverguest.so", {
  kvmserverguest_remote_resume: { parameters: ["buffer", "isize"], result: "isize" },
});

let served = 0; // stays what it is: the machine is reset after each request
Deno.serve({ port: Number(Deno.args[0] ?? 8000), hostname: "127.0.0.1" }, (request) => {
  const buffer = new Uint8Array(256);
  new TextEncoder().encodeInto(new URL(request.url).pathname.slice(1) || "World", buffer);
  const length = Number(kvm.kvmserverguest_remote_resume(buffer, BigInt(buffer.length)));
  served++;
  if (length <= 0) return new Response("no answer from storage\n", { status: 503 });
  const text = new TextDecoder().decode(buffer.subarray(0, length));
  return new Response(`${text} (${served} served here)\n`);
});
