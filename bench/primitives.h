/* SPDX-License-Identifier: MIT */
/* What the host's own operations cost, in microseconds: the units that machines are measured in. */
#ifndef BENCH_PRIMITIVES_H
#define BENCH_PRIMITIVES_H

double bench_now_us(void);
/* Sorts @values. */
double bench_median(double *values, unsigned int n);

double bench_getppid(void); /* a system call that does nothing */
double bench_pipe(void);    /* a byte to another process and back */
double bench_fork(void);    /* fork(2), _exit(2) of the child, waitpid(2) */
double bench_fault(void);   /* the first write to a page */

/* memcpy of @pages pages of which a line each was just written, as a request leaves them. */
double bench_memcpy(unsigned int pages);

#endif
