// SPDX-License-Identifier: MIT
// Node, Deno, Bun: WebAssembly, assembled by hand: a loop hot enough for the optimising compiler, memory
// that grows, and traps, which engines take as SIGSEGV or SIGFPE: beyond memory, division, stack.
const I32 = 0x7f, END = 0x0b;
const leb = n => n < 128 ? [n] : [n & 127 | 128, ...leb(n >>> 7)];
const vec = items => [...leb(items.length), ...items.flat()];
const section = (id, bytes) => [id, ...leb(bytes.length), ...bytes];
const func = (locals, code) => {
	const body = [...vec(locals), ...code, END];
	return [...leb(body.length), ...body];
};
const code = [
	// sum(n): the sum of i * i for i < n
	func([[2, I32]], [0x02, 0x40, 0x03, 0x40, 0x20, 1, 0x20, 0, 0x4e, 0x0d, 1, 0x20, 1, 0x20, 1, 0x6c,
		0x20, 2, 0x6a, 0x21, 2, 0x20, 1, 0x41, 1, 0x6a, 0x21, 1, 0x0c, 0, END, END, 0x20, 2]),
	func([], [0x20, 0, 0x28, 2, 0]),                         // load(address)
	func([], [0x41, 100, 0x20, 0, 0x6d]),                    // div(n): 100 / n (signed leb: -28)
	func([], [0x20, 0, 0x41, 1, 0x6a, 0x10, 3]),             // deep(n): never ends
	func([], [0x20, 0, 0x40, 0]),                            // grow(pages)
	func([], [0x00]),                                        // unreachable
	func([], [0x20, 0, 0x20, 0, 0x36, 2, 0, 0x20, 0]),       // store(address)
];
const names = ["sum", "load", "div", "deep", "grow", "stop", "store"];
const bytes = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
	...section(1, vec([[0x60, ...vec([I32].map(t => [t])), ...vec([[I32]])]])),
	...section(3, vec(code.map(() => [0]))),
	...section(5, vec([[0, 1]])),
	...section(7, vec([...names.map((n, i) => [...vec([...new TextEncoder().encode(n)].map(c => [c])), 0, i]),
		[3, 0x6d, 0x65, 0x6d, 2, 0]])),
	...section(10, vec(code)),
]);
console.log(WebAssembly.validate(bytes));
const { instance } = await WebAssembly.instantiate(bytes);
const e = instance.exports;
for (let i = 0; i < 300; i++) e.sum(10000);
console.log(e.sum(1000), e.sum(50000000), e.div(7), e.div(-1));
const attempt = (what, f) => {
	try {
		console.log(what, f());
	} catch (error) {
		console.log(what, error.constructor.name);
	}
};
for (let round = 0; round < 3; round++) {
	attempt("beyond", () => e.load(65536));
	attempt("edge", () => e.load(65532));
	attempt("straddling", () => e.load(65533));
	attempt("far", () => e.load(-4));
	attempt("store", () => e.store(0x7fffffff));
	attempt("zero", () => e.div(0));
	attempt("deep", () => e.deep(0));
	attempt("stop", () => e.stop(0));
}
let caught = 0;
for (let i = 0; i < 2000; i++) {
	try {
		e.load(65536 + i * 4096);
	} catch {
		caught++;
	}
}
console.log("caught", caught);
console.log(e.grow(100), e.mem.buffer.byteLength, e.load(65536), e.store(100 * 65536));
attempt("too much", () => e.grow(65536));
const many = await Promise.all(Array.from({ length: 20 }, () => WebAssembly.instantiate(bytes)));
console.log(many.reduce((sum, m) => sum + m.instance.exports.sum(10), 0));
