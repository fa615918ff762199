// SPDX-License-Identifier: MIT
// The page that bench/programs/react.js and react-once.js render: a table of 100 rows, with React from the
// node_modules directory given.
import { createRequire } from "node:module";

export function renderer(modules) {
	const require = createRequire(modules + "/");
	const { createElement } = require("react");
	const { renderToString } = require("react-dom/server");
	const row = (i, count) =>
		createElement("tr", { key: i }, createElement("td", null, i),
			createElement("td", { className: i % 2 ? "odd" : "even" }, `item ${i * count}`),
			createElement("td", null, createElement("a", { href: `/items/${i}` }, "more")));
	const page = (count) =>
		createElement("html", null, createElement("head", null, createElement("title", null, "Items")),
			createElement("body", null, createElement("h1", null, `Request ${count}`),
				createElement("table", null,
					createElement("tbody", null, Array.from({ length: 100 }, (_, i) => row(i, count))))));
	return (count) => renderToString(page(count));
}
