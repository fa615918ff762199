// SPDX-License-Identifier: MIT
// What bun.ts bundles.
export const square = (n: number): number => n * n;
console.log([1, 2, 3].map(square));
