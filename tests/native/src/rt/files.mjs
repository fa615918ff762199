// SPDX-License-Identifier: MIT
// Node, Deno, Bun: fs.promises; 2000 files in a tree, written, walked, read, renamed, half removed.
import fs from "node:fs/promises";
import path from "node:path";

const COUNT = 2000;
const name = i => path.join("tree", `a${i % 10}`, `b${i % 50}`, `file${i}`);
for (let i = 0; i < 50; i++) await fs.mkdir(path.dirname(name(i)), { recursive: true });
await Promise.all(Array.from({ length: COUNT }, (_, i) => fs.writeFile(name(i), `content of ${i}\n`.repeat(i % 40))));

async function walk(directory, visit) {
	const entries = await fs.readdir(directory, { withFileTypes: true });
	for (const e of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
		const full = path.join(directory, e.name);
		if (e.isDirectory()) await walk(full, visit);
		else await visit(full, e);
	}
}
let files = 0, bytes = 0, read = 0;
await walk("tree", async full => {
	const st = await fs.stat(full);
	files++;
	bytes += st.size;
	read += (await fs.readFile(full, "utf8")).length;
});
console.log(files, bytes, read);
await Promise.all(Array.from({ length: COUNT / 2 }, (_, i) => i % 2
	? fs.rename(name(i), name(i) + ".moved") : fs.unlink(name(i))));
console.log((await fs.readdir("tree", { recursive: true })).length);

await fs.symlink("tree/a0", "link");
console.log(await fs.readlink("link"), (await fs.lstat("link")).isSymbolicLink(),
	(await fs.realpath("link")).endsWith("tree/a0"));
await fs.chmod(name(1999), 0o640);
console.log(((await fs.stat(name(1999))).mode & 0o777).toString(8));
await fs.utimes(name(1999), 1e9, 1e9);
console.log((await fs.stat(name(1999))).mtime.toISOString());
await fs.copyFile(name(1999), "copy");
await fs.appendFile("copy", "more\n");
await fs.truncate("copy", 100);
const handle = await fs.open("copy", "r+");
await handle.write(Buffer.from("XYZ"), 0, 3, 50);
const buffer = Buffer.alloc(10);
console.log((await handle.read(buffer, 0, 10, 45)).bytesRead, buffer.toString());
await handle.sync();
await handle.close();
for (const [what, args] of [["readFile", ["absent"]], ["readdir", ["copy"]], ["rmdir", ["tree"]],
	["mkdir", ["tree"]], ["open", ["tree/a0/x/y", "w"]]])
	await fs[what](...args).catch(e => console.log(what, e.code));
await fs.rm("tree/a3", { recursive: true });
await fs.rm("link");
