/* SPDX-License-Identifier: MIT */
/* Intrusive doubly linked list with a head node. */
#ifndef TK_BASE_LIST_H
#define TK_BASE_LIST_H

#include "base/types.h"

struct tk_list {
	struct tk_list *next, *prev;
};

static inline void tk_list_init(struct tk_list *head)
{
	head->next = head->prev = head;
}

static inline bool tk_list_empty(const struct tk_list *head)
{
	return head->next == head;
}

static inline void tk_list_add_tail(struct tk_list *head, struct tk_list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

/* Unlink @node and leave it empty, so that a second call is harmless. */
static inline void tk_list_del(struct tk_list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	tk_list_init(node);
}

#define tk_list_entry(node, type, member) tk_container_of(node, type, member)
#define tk_list_for_each(pos, head, member)                                                        \
	for (pos = tk_list_entry((head)->next, __typeof__(*pos), member); &pos->member != (head);  \
	     pos = tk_list_entry(pos->member.next, __typeof__(*pos), member))
#define tk_list_for_each_safe(pos, tmp, head, member)                                              \
	for (pos = tk_list_entry((head)->next, __typeof__(*pos), member),                          \
	    tmp = tk_list_entry(pos->member.next, __typeof__(*pos), member);                       \
	     &pos->member != (head);                                                               \
	     pos = tmp, tmp = tk_list_entry(tmp->member.next, __typeof__(*tmp), member))

#endif
