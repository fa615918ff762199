// SPDX-License-Identifier: MIT
// Node, Deno, Bun: compression, at once, in the thread pool and through streams and files.
import zlib from "node:zlib";
import fs from "node:fs";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import crypto from "node:crypto";

const sum = b => crypto.createHash("sha256").update(b).digest("hex").slice(0, 16);
let seed = 1;
const words = [];
while (words.length < 40000) {
	seed = (seed * 1103515245 + 12345) % 2147483648;
	words.push("word" + seed % 997);
}
const data = Buffer.from(words.join(" "));
console.log(data.length, sum(data));
for (const [pack, unpack] of [["gzip", "gunzip"], ["deflate", "inflate"], ["deflateRaw", "inflateRaw"]]) {
	const levels = await Promise.all([1, 6].map(level => promisify(zlib[pack])(data, { level })));
	for (const packed of levels) {
		const back = await promisify(zlib[unpack])(packed);
		console.log(pack, packed.length, back.equals(data));
	}
}
const brotli = zlib.brotliCompressSync(data, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 5 } });
console.log("brotli", brotli.length, zlib.brotliDecompressSync(brotli).equals(data));
fs.writeFileSync("data", data);
await pipeline(fs.createReadStream("data", { highWaterMark: 10000 }), zlib.createGzip(),
	fs.createWriteStream("data.gz"));
await pipeline(fs.createReadStream("data.gz"), zlib.createGunzip(), fs.createWriteStream("back"));
console.log(sum(fs.readFileSync("back")));
await promisify(zlib.gunzip)(Buffer.from("not gzip")).catch(e => console.log(e.code));
