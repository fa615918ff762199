/* SPDX-License-Identifier: MIT */
/*
 * So much of something and no more. Whoever holds a part of it remembers where it came from, and
 * gives it back there: the budget lives longer. A NULL budget has no limit and counts nothing.
 */
#ifndef TK_BASE_BUDGET_H
#define TK_BASE_BUDGET_H

#include "base/error.h"
#include "base/types.h"

struct tk_budget {
	u64 used;
	u64 most; /* 0: no limit */
};

static inline bool tk_budget_fits(const struct tk_budget *budget, u64 n)
{
	return !budget || !budget->most ||
	       (budget->used <= budget->most && n <= budget->most - budget->used);
}

/* Take @n whether they fit or not. */
static inline void tk_budget_charge(struct tk_budget *budget, u64 n)
{
	if (budget)
		budget->used += n;
}

static inline bool tk_budget_take(struct tk_budget *budget, u64 n)
{
	if (!tk_budget_fits(budget, n))
		return false;
	tk_budget_charge(budget, n);
	return true;
}

static inline void tk_budget_give(struct tk_budget *budget, u64 n)
{
	if (!budget)
		return;
	tk_assert(budget->used >= n);
	budget->used -= n;
}

#endif
