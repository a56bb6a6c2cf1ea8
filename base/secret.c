/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include "base/alloc.h"
#include "base/list.h"
#include "base/log.h"
#include "base/sanitize.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * The arena is made of chunks of address space, each beginning at a multiple of CHUNK_LEN:
 *
 *   | head | guard | payload, cut into slots of one size | guard, up to the end |
 *
 * The payload begins with FIRST_PAGES and doubles in place as it is used up: few secrets cost
 * little memory, and many few mappings, of which a process may have 65,530. The head (which slots
 * are taken) is ordinary memory outside the payload: an overrun cannot reach it, and a forked
 * child, where the payload is zeros, can still read it. A slot holds the secret and, just behind, a
 * copy of the arena's canary that secret_fini() checks. What does not fit a slot of SLOT_MAX has a
 * chunk of its own, as long as it needs.
 */
#define CHUNK_LEN     ((size_t)4 << 20)
#define FIRST_PAGES   13
#define SLOT_MIN_BITS 5
#define SLOT_MAX_BITS 12
#define NUM_CLASSES   (SLOT_MAX_BITS - SLOT_MIN_BITS + 1)
#define CANARY_LEN    16
#define SECRET_MAX    65536

struct chunk {
	struct list_node node; /* in arena.partial[] while it has free slots; else unlinked */
	uint32_t class;        /* NUM_CLASSES: one slot, as long as the payload */
	uint32_t num_slots;
	uint32_t num_used;
	uint32_t first; /* word of used[] before which all slots are taken */
	size_t slot_len;
	size_t payload_len;
	size_t map_len;
	uint64_t used[]; /* one bit a slot */
};

static struct {
	pthread_mutex_t lock;
	bool ready;
	bool unlocked; /* mlock() failed once, and that was said */
	size_t page;
	struct list_node partial[NUM_CLASSES];
	struct chunk *newest[NUM_CLASSES]; /* the one that may be made longer; NULL = none */
	uint8_t *
		canary; /* CANARY_LEN random bytes in a page of their own; zero in a forked child */
} arena = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* What secret_alive() looks at: a constant until the arena stands, then the arena's canary. */
static const uint64_t no_arena_yet = 1;
static const uint64_t *alive = &no_arena_yet;

static size_t round_to_page(size_t len)
{
	return (len + arena.page - 1) & ~(arena.page - 1);
}

/* Nothing is kept in memory that a child would inherit or a core dump would show. A kernel that
 * cannot promise that is refused: a child that goes on sending under its parent's keys and sequence
 * numbers would break the cipher. Only the lock is a matter of limits. */
static enum err protect(void *p, size_t len)
{
	if (madvise(p, len, MADV_WIPEONFORK) != 0 || madvise(p, len, MADV_DONTDUMP) != 0)
		return ERR_UNSUPPORTED;
	if (mlock(p, len) != 0)
		__atomic_store_n(&arena.unlocked, true, __ATOMIC_RELAXED);
	return ERR_OK;
}

/* len bytes of inaccessible address space at a multiple of align. */
static uint8_t *map_aligned(size_t len, size_t align)
{
	uint8_t *raw = mmap(NULL, len + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t front;

	if (raw == MAP_FAILED)
		return NULL;
	front = -(uintptr_t)raw & (align - 1);
	if (front > 0)
		munmap(raw, front);
	munmap(raw + front + len, align - front);
	return raw + front;
}

/* Called with the lock held, as is all below that touches the arena. */
static enum err arena_start(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *p;
	enum err e;

	if (arena.ready)
		return ERR_OK;
	if (sodium_init() < 0)
		return ERR_CRYPTO;
	p = map_aligned(3 * page, page);
	if (!p)
		return ERR_NOMEM;
	if (mprotect(p + page, page, PROT_READ | PROT_WRITE) != 0) {
		munmap(p, 3 * page);
		return ERR_NOMEM;
	}
	e = protect(p + page, page);
	if (e) {
		munmap(p, 3 * page);
		return e;
	}
	arena.page = page;
	arena.canary = p + page;
	randombytes_buf(arena.canary, CANARY_LEN);
	arena.canary[0] |= 1;
	for (size_t i = 0; i < NUM_CLASSES; i++)
		list_init(&arena.partial[i]);
	arena.ready = true;
	/* Pairs with the acquire in secret_alive(). */
	__atomic_store_n(&alive, (const uint64_t *)(const void *)arena.canary, __ATOMIC_RELEASE);
	return ERR_OK;
}

static uint8_t *payload(const struct chunk *c)
{
	return (uint8_t *)(uintptr_t)c + 2 * arena.page;
}

static enum err chunk_new(struct chunk **out, uint32_t class, size_t payload_len)
{
	size_t map_len = class < NUM_CLASSES ? CHUNK_LEN : payload_len + 3 * arena.page;
	uint8_t *p = map_aligned(map_len, CHUNK_LEN);
	struct chunk *c = (struct chunk *)(void *)p;
	enum err e = ERR_NOMEM;

	if (!p)
		return ERR_NOMEM;
	if (mprotect(p, arena.page, PROT_READ | PROT_WRITE) == 0 &&
	    mprotect(p + 2 * arena.page, payload_len, PROT_READ | PROT_WRITE) == 0)
		e = protect(p + 2 * arena.page, payload_len);
	if (e) {
		munmap(p, map_len);
		return e;
	}
	c->class = class;
	c->slot_len = class < NUM_CLASSES ? (size_t)1 << (class + SLOT_MIN_BITS) : payload_len;
	c->payload_len = payload_len;
	c->num_slots = (uint32_t)(payload_len / c->slot_len);
	c->map_len = map_len;
	SANITIZE_POISON(payload(c), payload_len);
	*out = c;
	return ERR_OK;
}

/* How many more bytes the payload may have: within the chunk, its head, and twice what it has. */
static size_t room_to_grow(const struct chunk *c)
{
	size_t in_head = (arena.page - sizeof(*c)) / sizeof(c->used[0]) * 64 * c->slot_len;
	size_t most = c->map_len - 3 * arena.page;

	most = in_head < most ? in_head & ~(arena.page - 1) : most;
	return most - c->payload_len < c->payload_len ? most - c->payload_len : c->payload_len;
}

static enum err chunk_grow(struct chunk *c, size_t more)
{
	uint8_t *end = payload(c) + c->payload_len;
	enum err e;

	if (mprotect(end, more, PROT_READ | PROT_WRITE) != 0)
		return ERR_NOMEM;
	e = protect(end, more);
	if (e) {
		mprotect(end, more, PROT_NONE);
		return e;
	}
	c->payload_len += more;
	c->num_slots = (uint32_t)(c->payload_len / c->slot_len);
	SANITIZE_POISON(end, more);
	list_push_back(&arena.partial[c->class], &c->node);
	return ERR_OK;
}

static void chunk_free(struct chunk *c)
{
	size_t len = c->map_len;

	if (c->class < NUM_CLASSES && arena.newest[c->class] == c)
		arena.newest[c->class] = NULL;
	SANITIZE_UNPOISON(payload(c), c->payload_len);
	munmap(c, len);
}

/* The class whose slots hold len bytes; NUM_CLASSES if none does. */
static uint32_t class_for(size_t len)
{
	uint32_t class = 0;

	while (class < NUM_CLASSES && (size_t)1 << (class + SLOT_MIN_BITS) < len)
		class ++;
	return class;
}

/* Every chunk of the class is full: more room in the newest, else another one. */
static enum err make_room(uint32_t class)
{
	struct chunk *c = arena.newest[class];
	size_t more = c ? room_to_grow(c) : 0;
	enum err e;

	if (more)
		return chunk_grow(c, more);
	e = chunk_new(&c, class, FIRST_PAGES * arena.page);
	if (e)
		return e;
	arena.newest[class] = c;
	list_push_back(&arena.partial[class], &c->node);
	return ERR_OK;
}

static enum err chunk_with_room(struct chunk **out, size_t len)
{
	uint32_t class = class_for(len);
	enum err e;

	if (class == NUM_CLASSES)
		return chunk_new(out, class, round_to_page(len));
	if (list_empty(&arena.partial[class])) {
		e = make_room(class);
		if (e)
			return e;
	}
	*out = list_entry(arena.partial[class].next, struct chunk, node);
	return ERR_OK;
}

/* A slot of a chunk that has a free one. */
static uint8_t *slot_take(struct chunk *c)
{
	uint32_t word = c->first;
	uint32_t i;

	while (c->used[word] == UINT64_MAX)
		word++;
	c->first = word;
	i = 64 * word + (uint32_t)__builtin_ctzll(~c->used[word]);
	assert(i < c->num_slots);
	c->used[word] |= 1ull << (i % 64);
	if (++c->num_used == c->num_slots)
		list_remove(&c->node);
	return payload(c) + i * c->slot_len;
}

static struct chunk *chunk_of(const uint8_t *p)
{
	return (struct chunk *)((uintptr_t)p & ~(uintptr_t)(CHUNK_LEN - 1));
}

/* An empty chunk is kept if it is the only one of its class with room, for the next secret needs
 * it; but not what it has grown to. */
static void slot_give(struct chunk *c, const uint8_t *p)
{
	size_t i = (size_t)(p - payload(c)) / c->slot_len;
	uint64_t bit = 1ull << (i % 64);

	assert(i < c->num_slots && (c->used[i / 64] & bit));
	c->used[i / 64] &= ~bit;
	c->first = i / 64 < c->first ? (uint32_t)(i / 64) : c->first;
	SANITIZE_POISON(p, c->slot_len);
	c->num_used--;
	if (c->class == NUM_CLASSES) {
		chunk_free(c);
		return;
	}
	if (!list_linked(&c->node))
		list_push_front(&arena.partial[c->class], &c->node);
	if (c->num_used == 0 &&
	    (c->node.next != c->node.prev || c->payload_len > FIRST_PAGES * arena.page)) {
		list_remove(&c->node);
		chunk_free(c);
	}
}

static enum err take(uint8_t **out, size_t len)
{
	struct chunk *c;
	enum err e = arena_start();

	if (!e)
		e = chunk_with_room(&c, len + CANARY_LEN);
	if (e)
		return e;
	*out = slot_take(c);
	SANITIZE_UNPOISON(*out, len + CANARY_LEN);
	return ERR_OK;
}

/* Once, and without the lock: the log's sink is foreign code. */
static void warn_if_unlocked(void)
{
	static bool warned;

	if (!__atomic_load_n(&arena.unlocked, __ATOMIC_RELAXED) ||
	    __atomic_exchange_n(&warned, true, __ATOMIC_RELAXED))
		return;
	LOG(WARN, DMN, NULL,
	    "keys cannot be locked in memory and may reach the swap device: raise the limit "
	    "(LimitMEMLOCK= in the unit, or ulimit -l)");
}

enum err secret_init(struct secret *s, size_t len)
{
	uint8_t *p;
	enum err e;

	if (len == 0 || len > SECRET_MAX)
		return ERR_LIMIT;
	/* Before the lock: another thread may have held it when this process was forked. */
	if (!secret_alive())
		return ERR_BAD_STATE;
	if (!alloc_step())
		return ERR_NOMEM;
	pthread_mutex_lock(&arena.lock);
	e = take(&p, len);
	pthread_mutex_unlock(&arena.lock);
	if (e)
		return e;
	/* The slot is zero: fresh from the kernel, or wiped when it was given back. */
	memcpy(p + len, arena.canary, CANARY_LEN);
	*s = (struct secret){.p = p, .len = len};
	warn_if_unlocked();
	return ERR_OK;
}

enum err secret_init_copy(struct secret *s, const void *p, size_t len)
{
	enum err e = secret_init(s, len);

	if (!e)
		memcpy(s->p, p, len);
	return e;
}

void secret_fini(struct secret *s)
{
	struct secret old = *s;

	*s = (struct secret){0};
	/* In a forked child there is nothing left to wipe, and the lock may be held for ever. */
	if (!old.p || !secret_alive())
		return;
	if (sodium_memcmp(old.p + old.len, arena.canary, CANARY_LEN) != 0) {
		fputs("latchkey: a write beyond the end of a secret\n", stderr);
		abort();
	}
	sodium_memzero(old.p, old.len + CANARY_LEN);
	pthread_mutex_lock(&arena.lock);
	slot_give(chunk_of(old.p), old.p);
	pthread_mutex_unlock(&arena.lock);
}

void secret_move(struct secret *to, struct secret *from)
{
	assert(!to->p);
	*to = *from;
	*from = (struct secret){0};
}

bool secret_equal(const void *a, size_t a_len, const void *b, size_t b_len)
{
	return a_len == b_len && (a_len == 0 || sodium_memcmp(a, b, a_len) == 0);
}

void secret_wipe(void *p, size_t len)
{
	if (len > 0)
		sodium_memzero(p, len);
}

bool secret_alive(void)
{
	/* Pairs with the release in arena_start(). */
	return *__atomic_load_n(&alive, __ATOMIC_ACQUIRE) != 0;
}

bool secret_locked(void)
{
	return __atomic_load_n(&alive, __ATOMIC_ACQUIRE) != &no_arena_yet &&
	       !__atomic_load_n(&arena.unlocked, __ATOMIC_RELAXED);
}
