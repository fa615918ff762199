// SPDX-License-Identifier: MIT
// Node, Deno, Bun: digests, ciphers, keys and the jobs that the thread pool does.
import crypto from "node:crypto";
import { promisify } from "node:util";

const data = Buffer.alloc(3000000, "some data ");
for (const name of ["md5", "sha1", "sha256", "sha512"])
	console.log(name, crypto.createHash(name).update(data).digest("hex"));
console.log(crypto.createHmac("sha256", "key").update(data).digest("base64"));

const pbkdf2 = promisify(crypto.pbkdf2), scrypt = promisify(crypto.scrypt);
const jobs = Array.from({ length: 12 }, (_, i) => i % 2
	? pbkdf2("password" + i, "salt", 20000, 32, "sha512")
	: scrypt("password" + i, "salt", 32, { N: 2048 }));
for (const key of await Promise.all(jobs)) console.log(key.toString("hex"));

const key = Buffer.alloc(32, 7), iv = Buffer.alloc(12, 9);
const cipher = crypto.createCipheriv("aes-256-gcm", key, iv);
const sealed = Buffer.concat([cipher.update(data), cipher.final()]);
const opener = crypto.createDecipheriv("aes-256-gcm", key, iv);
opener.setAuthTag(cipher.getAuthTag());
console.log(Buffer.concat([opener.update(sealed), opener.final()]).equals(data));
try {
	const wrong = crypto.createDecipheriv("aes-256-gcm", key, iv);
	wrong.setAuthTag(Buffer.alloc(16));
	wrong.update(sealed);
	wrong.final();
} catch (e) {
	console.log(e instanceof Error);
}

for (const [type, options, digest] of [["ed25519", {}, null], ["ec", { namedCurve: "P-256" }, "sha256"],
	["rsa", { modulusLength: 2048 }, "sha256"]]) {
	const pair = await promisify(crypto.generateKeyPair)(type, options);
	const signature = crypto.sign(digest, data.subarray(0, 1000), pair.privateKey);
	console.log(type, crypto.verify(digest, data.subarray(0, 1000), pair.publicKey, signature),
		crypto.verify(digest, data.subarray(0, 1001), pair.publicKey, signature));
}
const subtle = await crypto.webcrypto.subtle.digest("SHA-384", data);
console.log(Buffer.from(subtle).toString("hex"));
const random = new Set(Array.from({ length: 1000 }, () => crypto.randomBytes(8).toString("hex")));
console.log(random.size, crypto.randomUUID().length);
