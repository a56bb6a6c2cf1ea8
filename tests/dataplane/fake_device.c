/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/dataplane/fake_device.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "dataplane/crypto/backends.h"

struct aead_key {
	struct aead_key *real;
	bool encrypts;
	uint8_t aad_len;
	int num_under; /* atomic: operations */
};

static struct fake_device *fake_of(const struct aead_device *d)
{
	return (struct fake_device *)(uintptr_t)d;
}
static_assert(offsetof(struct fake_device, device) == 0, "the cast in fake_of()");

static bool supports(const struct aead_device *d, const struct aead_use *use)
{
	return fake_of(d)->algs >> use->alg & 1;
}

static enum err key_new(struct aead_device *d, struct aead_key **out, const struct aead_use *use,
			const uint8_t *key, const uint8_t *iv_key)
{
	struct fake_device *f = fake_of(d);
	struct aead_key *k;
	enum err e;

	if (!supports(d, use))
		return ERR_UNSUPPORTED;
	if ((uint32_t)f->num_keys >= f->max_keys)
		return ERR_NOMEM;
	k = calloc(1, sizeof(*k)); /* system allocator: a device's */
	if (!k)
		return ERR_NOMEM;
	k->encrypts = use->encrypts;
	k->aad_len = use->aad_len;
	e = aead_openssl.key_new(&k->real, use->alg, key, aead_alg_key_len(use->alg), iv_key);
	if (e != ERR_OK) {
		free(k);
		return e;
	}
	f->num_keys++;
	*out = k;
	return ERR_OK;
}

static void key_free(struct aead_device *d, struct aead_key *key)
{
	struct fake_device *f = fake_of(d);

	if (!key)
		return;
	if (__atomic_load_n(&key->num_under, __ATOMIC_ACQUIRE) && !aead_device_lost(d))
		f->num_early++;
	f->num_keys--;
	aead_openssl.key_free(key->real);
	free(key);
}

static uint32_t submit(struct aead_device *d, uint32_t queue, const struct aead_op *ops,
		       void *const *refs, uint32_t n)
{
	struct fake_device *f = fake_of(d);
	struct fake_queue *q = &f->queues[queue];
	uint32_t num = 0;

	for (; num < n && q->num < f->room; num++) {
		struct aead_key *key = (struct aead_key *)(uintptr_t)ops[num].key;

		if (ops[num].aad_len != key->aad_len || ops[num].len > d->max_len)
			abort();
		__atomic_fetch_add(&key->num_under, 1, __ATOMIC_RELAXED);
		q->jobs[q->num++] = (struct fake_job){
			.op = ops[num], .key = key, .ref = refs[num], .since_ns = clock_now_ns()};
	}
	return num;
}

/* work - what the device does to one packet. */
static bool work(struct fake_device *f, struct fake_job *job)
{
	const uint64_t n = __atomic_add_fetch(&f->num_done, 1, __ATOMIC_RELAXED);

	job->op.key = job->key->real;
	if (job->key->encrypts)
		aead_openssl.encrypt(NULL, &job->op, 1);
	else
		aead_openssl.decrypt(NULL, &job->op, 1);
	if (f->wrong && job->op.len)
		job->op.text[0] ^= 1;
	__atomic_fetch_sub(&job->key->num_under, 1, __ATOMIC_RELEASE);
	return job->op.ok && !(f->fail && n % f->fail == 0);
}

static uint32_t complete(struct aead_device *d, uint32_t queue, struct aead_done *out, uint32_t n)
{
	struct fake_device *f = fake_of(d);
	struct fake_queue *q = &f->queues[queue];
	const uint64_t now_ns = clock_now_ns();
	uint32_t num = 0;

	if (f->nap_ns) {
		const struct timespec nap = {.tv_nsec = (long)f->nap_ns};

		if (f->looks++ % 2 == 0)
			return 0;
		f->nap_ns = 0;
		nanosleep(&nap, NULL);
		return 0;
	}
	n = n < f->most ? n : f->most;
	while (!__atomic_load_n(&f->shut, __ATOMIC_RELAXED) && num < n && q->num) {
		const uint32_t at = f->backwards ? q->num - 1 : 0;
		struct fake_job job = q->jobs[at];

		if (now_ns - job.since_ns < f->delay_ns)
			break;
		q->num--;
		memmove(&q->jobs[at], &q->jobs[at + 1], (q->num - at) * sizeof(job));
		out[num].ok = work(f, &job);
		out[num++].ref = job.ref;
	}
	return num;
}

static void close_it(struct aead_device *d)
{
	fake_of(d)->closed = true;
}

struct fake_device *fake_device_new(void)
{
	static const struct aead_device_ops ops = {
		.supports = supports,
		.key_new = key_new,
		.key_free = key_free,
		.submit = submit,
		.complete = complete,
		.close = close_it,
	};
	struct fake_device *f = calloc(1, sizeof(*f)); /* system allocator: a device's */

	if (!f)
		abort();
	f->device = (struct aead_device){
		.ops = &ops, .name = "fake0", .num_queues = FAKE_QUEUES, .max_len = 65000};
	f->room = AEAD_DEVICE_DEPTH;
	f->most = UINT32_MAX;
	f->max_keys = 4096;
	f->algs = (UINT32_C(1) << AEAD_NUM) - 2;
	return f;
}

void fake_device_free(struct fake_device *f)
{
	free(f);
}
