<?php
// SPDX-License-Identifier: MIT
// Random numbers, one "NAME VALUE" a line.
printf("mt_rand %d\nrandom_bytes %s\nrandom_int %d\n", mt_rand(), bin2hex(random_bytes(8)), random_int(0, PHP_INT_MAX));
