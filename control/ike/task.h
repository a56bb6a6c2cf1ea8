/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task.h - what is to be done on an IKE SA, one exchange after the other. Control thread.
 */
#pragma once

#include "control/ike/step.h"

/* task_new - a task about a Child SA (0 = none); NULL on shortage. */
MALLOC_LIKE struct task *task_new(enum task_kind kind, uint64_t child);

/* task_free - one that is in no queue; NULL is accepted. */
void task_free(struct task *t);

/* task_add - at the end of the queue, which takes it over. Nothing is begun: step_task() does. */
void task_add(struct ike_sa *sa, struct task *t) NONNULL(1, 2);

/* task_put_back - at the front: it was under way and is to be tried again. */
void task_put_back(struct ike_sa *sa, struct task *t) NONNULL(1, 2);

/* task_need - add one of this kind about this child unless it is queued or under way. Errors:
 * NOMEM, EXISTS. */
MUST_USE enum err task_need(struct ike_sa *sa, enum task_kind kind, uint64_t child) NONNULL(1);

/* task_next - take the first that may begin now out of the queue, NULL if there is none. Deletes go
 * first. */
struct task *task_next(struct ike_sa *sa, uint64_t now_ns) NONNULL(1);

/* task_find - queued or under way; child 0 = any. */
struct task *task_find(const struct ike_sa *sa, enum task_kind kind, uint64_t child) NONNULL(1);

/* task_drop - free one that was taken out. */
void task_drop(struct ike_sa *sa, struct task *t) NONNULL(1, 2);

/* tasks_fail - all that are queued fail; those somebody asked for are reported. */
void tasks_fail(struct ike_sa *sa, enum ike_reason reason, const char *text) NONNULL(1, 3);

/* tasks_move - all that are queued go on with another IKE SA, its end, why and for whom among them,
 * but a re-key and a liveness check of `from` itself. */
void tasks_move(struct ike_sa *from, struct ike_sa *to) NONNULL(1, 2);

/* tasks_init - none, and the timer of those that wait. */
void tasks_init(struct ike_sa *sa) NONNULL(1);
