<?php
// SPDX-License-Identifier: MIT
// Nothing of a script outlives a request; the opcode cache is off, the process is what counts.
header("Content-Length: 2");
echo getmypid() > 0 ? "1\n" : "0\n";
