/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.h - intrusive doubly linked circular list; the zero state of a node is "in no list".
 */
#pragma once

#include "base/attr.h"

/* struct list_node - a head or a link. */
struct list_node {
	struct list_node *next;
	struct list_node *prev;
};

/* list_init - an empty list (as head). */
static inline void list_init(struct list_node *head)
{
	head->next = head->prev = head;
}

static inline bool list_empty(const struct list_node *head)
{
	return head->next == head;
}

/* list_linked - the node is in a list. */
static inline bool list_linked(const struct list_node *n)
{
	return n->next != NULL;
}

/* list_push_back - append n, which is in no list. */
static inline void list_push_back(struct list_node *head, struct list_node *n)
{
	n->prev = head->prev;
	n->next = head;
	head->prev->next = n;
	head->prev = n;
}

/* list_push_front - prepend n, which is in no list. */
static inline void list_push_front(struct list_node *head, struct list_node *n)
{
	list_push_back(head->next, n);
}

/* list_remove - unlink; a node in no list is accepted. */
static inline void list_remove(struct list_node *n)
{
	if (!n->next)
		return;
	n->prev->next = n->next;
	n->next->prev = n->prev;
	n->next = n->prev = NULL;
}

/* list_pop_front - unlink and return the first node, NULL if there is none. */
static inline struct list_node *list_pop_front(struct list_node *head)
{
	struct list_node *n = head->next;

	if (n == head)
		return NULL;
	list_remove(n);
	return n;
}

/* list_entry - the object of type `type` that embeds node n as `member`. */
#define list_entry(n, type, member) container_of(n, type, member)

/* list_for_each - n goes over the nodes; the list may not change meanwhile. */
#define list_for_each(n, head) for (struct list_node *n = (head)->next; n != (head); n = n->next)

/* list_for_each_safe - as above; the current node may be removed. */
#define list_for_each_safe(n, head)                                                \
	for (struct list_node *n = (head)->next, *n##_next = n->next; n != (head); \
	     n = n##_next, n##_next = n->next)
