/* SPDX-License-Identifier: MIT */
/* The program of bench/reset.c: reads how many pages to change, and changes a word of each. */
#include <stdint.h>
#include <unistd.h>

#define PAGES 4096

static volatile uint64_t pages[PAGES][512] __attribute__((aligned(4096))) = {{1}};

int main(void)
{
	uint32_t n;

	for (unsigned int i = 0; i < PAGES; i++)
		pages[i][7] = i;
	while (read(0, &n, sizeof(n)) == sizeof(n))
		for (uint32_t i = 0; i < n && i < PAGES; i++)
			pages[i][i % 512]++;
	return 0;
}
