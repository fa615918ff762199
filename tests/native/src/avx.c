/* SPDX-License-Identifier: MIT */
/* Wide registers across system calls: each round sets, calls the kernel, and checks. */
#include <immintrin.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((target("avx2"))) static int check_avx2(void)
{
	long out[4], ret;

	for (int i = 0; i < 500; i++) {
		__m256i x = _mm256_set_epi64x(i, ~i, i * 7919, -i);

		__asm__ volatile("vmovdqa %1, %%ymm9\n\tsyscall\n\tvmovdqu %%ymm9, %2"
				 : "=a"(ret) : "x"(x), "m"(out), "a"((long)SYS_getppid)
				 : "rcx", "r11", "memory", "xmm9");
		if (out[0] != -i || out[1] != i * 7919 || out[2] != ~i || out[3] != i)
			return 1;
	}
	return 0;
}

__attribute__((target("avx512f"))) static int check_avx512(void)
{
	char in[64], out[64];
	long ret, k;

	for (int i = 0; i < 500; i++) {
		memset(in, i, sizeof(in));
		in[63] = ~i;
		__asm__ volatile("vmovdqu64 (%1), %%zmm20\n\tkmovw %%ebx, %%k3\n\tsyscall\n\t"
				 "vmovdqu64 %%zmm20, (%2)\n\tkmovw %%k3, %%ebx"
				 : "=a"(ret) : "r"(in), "r"(out), "a"((long)SYS_getppid), "b"((long)i)
				 : "rcx", "r11", "memory");
		if (memcmp(in, out, 64))
			return 1;
	}
	return 0;
}

int main(void)
{
	if (__builtin_cpu_supports("avx2"))
		printf("avx2 %d\n", check_avx2());
	if (__builtin_cpu_supports("avx512f"))
		printf("avx512 %d\n", check_avx512());
	printf("mxcsr %x\n", _mm_getcsr());
	_mm_setcsr(_mm_getcsr() | 0x8040);
	syscall(SYS_getppid);
	printf("mxcsr %x\n", _mm_getcsr());
	return 0;
}
