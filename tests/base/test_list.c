/* SPDX-License-Identifier: Apache-2.0 */
#include "base/list.h"

#include "tests/tap/tap.h"

struct item {
	int value;
	struct list_node node;
};

/* The values in order as the digits of one number. */
static int digits(struct list_node *head)
{
	int v = 0;

	list_for_each (n, head)
		v = v * 10 + list_entry(n, struct item, node)->value;
	return v;
}

static void test_order_of_pushes(void)
{
	struct list_node head;
	struct item a = {.value = 1}, b = {.value = 2}, c = {.value = 3};

	list_init(&head);
	CU_ASSERT(list_empty(&head));
	CU_ASSERT_EQUAL(digits(&head), 0);
	list_push_back(&head, &b.node);
	list_push_back(&head, &c.node);
	list_push_front(&head, &a.node);
	CU_ASSERT(!list_empty(&head));
	CU_ASSERT_EQUAL(digits(&head), 123);
}

static void test_removal_unlinks_and_may_be_repeated(void)
{
	struct list_node head;
	struct item a = {.value = 1}, b = {.value = 2}, c = {.value = 3};

	list_init(&head);
	CU_ASSERT(!list_linked(&b.node));
	list_push_back(&head, &a.node);
	list_push_back(&head, &b.node);
	list_push_back(&head, &c.node);
	CU_ASSERT(list_linked(&b.node));
	list_remove(&b.node);
	CU_ASSERT(!list_linked(&b.node));
	list_remove(&b.node);
	CU_ASSERT_EQUAL(digits(&head), 13);
	list_push_back(&head, &b.node);
	CU_ASSERT_EQUAL(digits(&head), 132);
}

static void test_pop_empties(void)
{
	struct list_node head;
	struct item a = {.value = 1}, b = {.value = 2};

	list_init(&head);
	list_push_back(&head, &a.node);
	list_push_back(&head, &b.node);
	CU_ASSERT_PTR_EQUAL(list_pop_front(&head), &a.node);
	CU_ASSERT_PTR_EQUAL(list_pop_front(&head), &b.node);
	CU_ASSERT_PTR_NULL(list_pop_front(&head));
	CU_ASSERT(list_empty(&head) && !list_linked(&a.node));
}

static void test_the_current_node_may_go(void)
{
	struct list_node head;
	struct item items[6];

	list_init(&head);
	for (int i = 0; i < 6; i++) {
		items[i] = (struct item){.value = i + 1};
		list_push_back(&head, &items[i].node);
	}
	list_for_each_safe (n, &head) {
		if (list_entry(n, struct item, node)->value % 2)
			list_remove(n);
	}
	CU_ASSERT_EQUAL(digits(&head), 246);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_order_of_pushes),
	TAP_TEST(test_removal_unlinks_and_may_be_repeated),
	TAP_TEST(test_pop_empties),
	TAP_TEST(test_the_current_node_may_go),
};
TAP_MAIN("base/list", tests)
