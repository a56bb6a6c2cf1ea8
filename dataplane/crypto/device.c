/* SPDX-License-Identifier: Apache-2.0 */
/* A lookaside device as a back end that waits. */
#include "dataplane/crypto/device.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "dataplane/crypto/backends.h"

/* struct aead_key - of this back end: a key for each way of use, NULL where the device has none,
 * and one of the processor's for that. */
struct aead_key {
	struct aead_key *of_device[2][2]; /* encrypts, ESN */
	struct aead_key *other;
};

static struct aead_device *device;

static struct aead_use use_of(enum aead_alg alg, bool encrypts, bool esn)
{
	return (struct aead_use){
		.alg = alg, .encrypts = encrypts, .aad_len = esn ? AEAD_AAD_MAX : AEAD_HEAD_LEN};
}

/* each_use - numbers of the ways of use. */
#define NUM_USES 4

bool aead_device_supports(const struct aead_device *d, enum aead_alg alg)
{
	for (unsigned i = 0; i < NUM_USES; i++) {
		struct aead_use use = use_of(alg, i & 1, i & 2);

		if (d->ops->supports(d, &use))
			return true;
	}
	return false;
}

static bool supports(enum aead_alg alg)
{
	return device && aead_device_supports(device, alg);
}

static void key_free(struct aead_key *key)
{
	if (!key)
		return;
	for (unsigned i = 0; i < NUM_USES; i++)
		device->ops->key_free(device, key->of_device[i & 1][i >> 1]);
	aead_openssl.key_free(key->other);
	mem_free(key);
}

static enum err key_new(struct aead_key **out, enum aead_alg alg, const uint8_t *key,
			size_t key_len, const uint8_t *iv_key)
{
	struct aead_key *k;
	enum err e;

	if (!supports(alg))
		return ERR_UNSUPPORTED;
	if (key_len != aead_alg_key_len(alg))
		return ERR_INVAL;
	k = mem_alloc(sizeof(*k));
	if (!k)
		return ERR_NOMEM;
	e = aead_openssl.key_new(&k->other, alg, key, key_len, iv_key);
	for (unsigned i = 0; i < NUM_USES && e == ERR_OK; i++) {
		struct aead_use use = use_of(alg, i & 1, i & 2);

		/* Without a secret such a key only decrypts. */
		if (use.encrypts && !iv_key && aead_shape(alg)->secret_iv)
			continue;
		if (device->ops->supports(device, &use))
			e = device->ops->key_new(device, &k->of_device[i & 1][i >> 1], &use, key,
						 iv_key);
	}
	if (e != ERR_OK) {
		key_free(k);
		return e;
	}
	*out = k;
	return ERR_OK;
}

bool aead_wait_on(struct aead_wait *w, bool came)
{
	const uint64_t now_ns = clock_now_ns();

	if (came || !w->until_ns) {
		*w = (struct aead_wait){.until_ns = now_ns + AEAD_DEVICE_TIMEOUT_NS};
		return true;
	}
	if (now_ns <= w->until_ns)
		return true;
	if (w->once_more)
		return false;
	w->once_more = true;
	return true;
}

/* take - what is done; returns how many. */
static uint32_t take(void)
{
	struct aead_done done[AEAD_BATCH_MAX];
	uint32_t n = device->ops->complete(device, device->num_queues - 1, done, AEAD_BATCH_MAX);

	for (uint32_t i = 0; i < n; i++)
		((struct aead_op *)done[i].ref)->ok = done[i].ok;
	return n;
}

/* run - n operations with keys of the device; false: it did not answer. */
static bool run(const struct aead_op *ops, void *const *refs, uint32_t n)
{
	struct aead_wait wait = {0};
	uint32_t given = 0, taken = 0, came;

	while (taken < n) {
		if (given < n)
			given += device->ops->submit(device, device->num_queues - 1, ops + given,
						     refs + given, n - given);
		came = take();
		taken += came;
		if (taken < n && !aead_wait_on(&wait, came))
			return false;
	}
	return true;
}

/* work_on - those that the device has a key for go there, all others to OpenSSL. */
static void work_on(struct aead_work *work, struct aead_op *ops, uint32_t n, bool encrypts)
{
	struct aead_op theirs[AEAD_BATCH_MAX];
	void *refs[AEAD_BATCH_MAX];
	uint32_t num = 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct aead_key *k = ops[i].key;
		const struct aead_key *key = k->of_device[encrypts][ops[i].aad_len == AEAD_AAD_MAX];

		ops[i].ok = false;
		if (key && ops[i].len <= device->max_len) {
			theirs[num] = ops[i];
			theirs[num].key = key;
			refs[num++] = &ops[i];
			continue;
		}
		ops[i].key = k->other;
		(encrypts ? aead_openssl.encrypt : aead_openssl.decrypt)(work, &ops[i], 1);
		ops[i].key = k;
	}
	if (aead_device_lost(device) || run(theirs, refs, num))
		return;
	aead_device_lose(device);
}

static void encrypt(struct aead_work *work, struct aead_op *ops, uint32_t n)
{
	work_on(work, ops, n, true);
}

static void decrypt(struct aead_work *work, struct aead_op *ops, uint32_t n)
{
	work_on(work, ops, n, false);
}

const struct aead_backend *aead_device_backend(struct aead_device *d)
{
	static const struct aead_backend backend = {
		.name = "device",
		.supports = supports,
		.key_new = key_new,
		.key_free = key_free,
		.encrypt = encrypt,
		.decrypt = decrypt,
	};

	device = d;
	return &backend;
}
