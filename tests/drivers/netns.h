/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netns.h - network namespaces for test programs: every test makes its own, so that nothing of the
 * machine is touched and nothing is left behind. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* netns_enter - put this thread into a fresh namespace with "lo" up. Where that is not permitted
 * the test is skipped and false comes back. */
bool netns_enter(void);

/* netns_make - another namespace with "lo" up; returns a descriptor for netns_switch(). Close it.
 */
int netns_make(void);

/* netns_current - a descriptor of the namespace the thread is in. Close it. */
int netns_current(void);

/* netns_switch - enter the namespace. */
void netns_switch(int fd);

/* netns_sh - run a shell command in the current namespace; it must succeed. */
void netns_sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* netns_in - the same in another namespace. */
void netns_in(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* netns_read - a command's output, lines trimmed at the end; static, until the next call. */
const char *netns_read(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* netns_wait_for6 - an IPv6 address that was just given is the host's own: a kernel thread sees to
 * that some time after "ip address add" came back. */
void netns_wait_for6(const char *address);

/* netns_settle - what this thread has sent by "lo" so far has arrived. A busy machine may leave
 * that to a kernel thread; its queue is one for a processor, which netns_enter() keeps the thread
 * on. */
void netns_settle(void);

/* netns_wait - sleep a little; for what the kernel does by itself. */
void netns_wait(unsigned ms);
