/* SPDX-License-Identifier: MIT */
/*
 * The smallest storage program: it counts, and writes a greeting into the caller's buffer.
 *
 *	cc -o storage storage.c -lkvmserverguest
 *	cc -o request request.c -lkvmserverguest
 *	kvmserver -e storage --allow-read ./storage ++ run --allow-read --allow-listen ./request
 *8000
 */
#include <kvmserverguest.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	char name[64];
	ssize_t len, answer = 0;
	void *buf;

	for (int count = 0; (len = kvmserverguest_storage_wait_paused(&buf, answer)) >= 0;) {
		snprintf(name, sizeof(name), "%.*s", (int)len, (char *)buf);
		answer = snprintf(buf, (size_t)len, "Hello %s, number %d", name, ++count);
	}
	perror("kvmserverguest_storage_wait_paused");
	return 1;
}
