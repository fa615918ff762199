/* SPDX-License-Identifier: MIT */
/* Integer and address types, page arithmetic, and the three macros everybody needs. */
#ifndef TK_BASE_TYPES_H
#define TK_BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;

typedef u64 gva_t; /* guest virtual address: never a pointer */
typedef u64 gpa_t; /* guest physical address */

#define TK_PAGE_SHIFT 12
#define TK_PAGE_SIZE  4096ull
#define TK_PAGE_MASK  (~(TK_PAGE_SIZE - 1))

#define TK_KIB(n) ((u64)(n) << 10)
#define TK_MIB(n) ((u64)(n) << 20)
#define TK_GIB(n) ((u64)(n) << 30)

#define TK_ARRAY_SIZE(a)		   (sizeof(a) / sizeof((a)[0]))
#define tk_container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define TK_PASTE_(a, b)			   a##b
#define TK_PASTE(a, b)			   TK_PASTE_(a, b)
/* Each use has variables of its own, so that uses may be nested. */
#define TK_PICK_(a, b, op, x, y)                                                                   \
	({                                                                                         \
		__auto_type x = (a);                                                               \
		__auto_type y = (b);                                                               \
		x op y ? x : y;                                                                    \
	})
#define TK_PICK(a, b, op, n) TK_PICK_(a, b, op, TK_PASTE(_x, n), TK_PASTE(_y, n))
#define TK_MIN(a, b)	     TK_PICK(a, b, <, __COUNTER__)
#define TK_MAX(a, b)	     TK_PICK(a, b, >, __COUNTER__)

#define TK_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define TK_MUST_CHECK	     __attribute__((warn_unused_result))

static inline u64 tk_page_down(u64 x)
{
	return x & TK_PAGE_MASK;
}

/* Round up to a page; false if the result does not fit 64 bits. */
static inline bool tk_page_up(u64 x, u64 *out)
{
	u64 sum;

	if (__builtin_add_overflow(x, TK_PAGE_SIZE - 1, &sum))
		return false;
	*out = sum & TK_PAGE_MASK;
	return true;
}

#endif
