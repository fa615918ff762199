# SPDX-License-Identifier: MIT
"""Prints the answer to one request: what a process for each request does."""
count = 0
count += 1
print(count)
