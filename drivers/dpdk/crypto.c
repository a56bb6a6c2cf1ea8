/* SPDX-License-Identifier: Apache-2.0 */
/* A lookaside device: found or made, given its queues and sessions, started. Control. */
#include "drivers/dpdk/crypto.h"
#include "drivers/dpdk/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_dev.h>
#include <rte_malloc.h>
#include <rte_mempool.h>

/* Descriptors are more than there are operations: a queue is never full. */
#define DESCRIPTORS (2 * AEAD_DEVICE_DEPTH)
/* What the device adds to a packet that is not copied: an mbuf's lengths have 16 bits. */
#define MAX_LEN (UINT16_MAX - 128)

static enum err refuse(char text[static DPDK_TEXT_MAX], const struct crypto *c, const char *what,
		       int rc)
{
	const char *why = eal_why();

	snprintf(text, DPDK_TEXT_MAX, "%s: %s: %s", c->name, what, why[0] ? why : strerror(-rc));
	return ERR_SYS;
}

/* ---- finding it ------------------------------------------------------------------------------ */

/* is_at - the bus calls the device `name` what we do: a virtual one without its arguments, a PCI
 * address with or without its domain. */
static bool is_at(const char *name, const char *device)
{
	const size_t len = strcspn(device, ",");
	const size_t name_len = strlen(name);

	if (name_len < len)
		return false;
	if (strncmp(name, device, len) == 0 && name_len == len)
		return true;
	return name_len == len + 5 && strncmp(name + 5, device, len) == 0 && name[4] == ':';
}

/* find - a PCI device may be several: the one for symmetric ciphers is meant. */
static enum err find(struct crypto *c, struct rte_cryptodev_info *info,
		     char text[static DPDK_TEXT_MAX])
{
	int rc;

	eal_forget();
	rc = rte_dev_probe(c->name);
	if (rc && rc != -EEXIST)
		return refuse(text, c, "DPDK has no such device", rc);
	for (uint8_t id = 0; id < RTE_CRYPTO_MAX_DEVS; id++) {
		if (!rte_cryptodev_is_valid_dev(id))
			continue;
		rte_cryptodev_info_get(id, info);
		if (!info->device || !is_at(rte_dev_name(info->device), c->name) ||
		    !(info->feature_flags & RTE_CRYPTODEV_FF_SYMMETRIC_CRYPTO))
			continue;
		c->id = id;
		snprintf(c->driver, sizeof(c->driver), "%s", info->driver_name);
		return ERR_OK;
	}
	return refuse(text, c, "the device is none for ciphers, or did not start", -ENODEV);
}

/* ---- its memory ------------------------------------------------------------------------------ */

static bool make_pools(struct crypto *c, const struct dpdk_crypto_params *p, int socket)
{
	const uint32_t num = c->device.num_queues * AEAD_DEVICE_DEPTH;
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "lk_sess_%u", c->id);
	c->sessions = rte_cryptodev_sym_session_pool_create(
		name, p->num_sessions, rte_cryptodev_sym_get_private_session_size(c->id), 0, 0,
		socket);
	snprintf(name, sizeof(name), "lk_ops_%u", c->id);
	c->ops = rte_crypto_op_pool_create(name, RTE_CRYPTO_OP_TYPE_SYMMETRIC, num, 0,
					   CRYPTO_BESIDE, socket);
	if (!c->sessions || !c->ops)
		return false;
	eal_leave_out(c->sessions);
	return true;
}

/* fill_queue - with operations that stay its own, each with an mbuf and, if it may be needed, room
 * for a copy. */
static bool fill_queue(struct crypto *c, struct crypto_queue *q, int socket)
{
	const size_t room = CRYPTO_COPY_LEN + CRYPTO_COPY_ROOM;

	q->shells = rte_zmalloc_socket(NULL, AEAD_DEVICE_DEPTH * sizeof(*q->shells),
				       RTE_CACHE_LINE_SIZE, socket);
	if (c->dma || c->copies)
		q->rooms = rte_zmalloc_socket(NULL, AEAD_DEVICE_DEPTH * room, RTE_CACHE_LINE_SIZE,
					      socket);
	if (!q->shells || ((c->dma || c->copies) && !q->rooms) ||
	    rte_crypto_op_bulk_alloc(c->ops, RTE_CRYPTO_OP_TYPE_SYMMETRIC, q->free,
				     AEAD_DEVICE_DEPTH) != AEAD_DEVICE_DEPTH)
		return false;
	q->num_free = AEAD_DEVICE_DEPTH;
	for (uint32_t i = 0; i < AEAD_DEVICE_DEPTH; i++) {
		struct beside *b = crypto_beside(q->free[i]);

		rte_mbuf_refcnt_set(&q->shells[i], 1);
		q->shells[i].nb_segs = 1;
		b->shell = &q->shells[i];
		b->room = q->rooms ? q->rooms + i * room : NULL;
		q->free[i]->sess_type = RTE_CRYPTO_OP_WITH_SESSION;
	}
	return true;
}

static void release(struct crypto *c)
{
	for (uint32_t i = 0; c->queues && i < c->device.num_queues; i++) {
		rte_free(c->queues[i].shells);
		rte_free(c->queues[i].rooms);
	}
	rte_mempool_free(c->ops);
	rte_mempool_free(c->sessions);
	free(c->queues);
	free(c);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void close_it(struct aead_device *d)
{
	struct crypto *c = (struct crypto *)(void *)d;

	rte_cryptodev_stop(c->id);
	rte_cryptodev_close(c->id);
	release(c);
}

static const struct aead_device_ops crypto_ops = {
	.supports = crypto_supports,
	.key_new = crypto_key_new,
	.key_free = crypto_key_free,
	.submit = crypto_submit,
	.complete = crypto_complete,
	.close = close_it,
};

static int queues_set_up(const struct crypto *c, int socket)
{
	const struct rte_cryptodev_qp_conf conf = {.nb_descriptors = DESCRIPTORS,
						   .mp_session = c->sessions};
	int rc = 0;

	for (uint16_t i = 0; i < c->device.num_queues && !rc; i++)
		rc = rte_cryptodev_queue_pair_setup(c->id, i, &conf, socket);
	return rc;
}

static enum err set_up(struct crypto *c, const struct rte_cryptodev_info *info,
		       const struct dpdk_crypto_params *p, char text[static DPDK_TEXT_MAX])
{
	const int socket = rte_cryptodev_socket_id(c->id);
	struct rte_cryptodev_config conf = {.socket_id = socket,
					    .nb_queue_pairs = (uint16_t)p->num_queues,
					    .ff_disable = RTE_CRYPTODEV_FF_ASYMMETRIC_CRYPTO};
	int rc;

	if (p->num_queues > info->max_nb_queue_pairs) {
		snprintf(text, DPDK_TEXT_MAX, "%s: it has %u queues, and %u are needed", c->name,
			 info->max_nb_queue_pairs, p->num_queues);
		return ERR_UNSUPPORTED;
	}
	c->dma = info->feature_flags & RTE_CRYPTODEV_FF_HW_ACCELERATED;
	c->copies = p->copy || info->min_mbuf_headroom_req || info->min_mbuf_tailroom_req;
	c->device.max_len = c->dma || c->copies ? CRYPTO_COPY_LEN - 64 : MAX_LEN;
	eal_forget(); /* what finding it said */
	rc = rte_cryptodev_configure(c->id, &conf);
	if (rc)
		return refuse(text, c, "it cannot be configured", rc);
	if (!make_pools(c, p, socket))
		return refuse(text, c, "no memory for its sessions and operations", -ENOMEM);
	for (uint32_t i = 0; i < p->num_queues; i++)
		if (!fill_queue(c, &c->queues[i], socket))
			return refuse(text, c, "no memory for its queues", -ENOMEM);
	rc = queues_set_up(c, socket);
	if (rc)
		return refuse(text, c, "its queues cannot be set up", rc);
	rc = rte_cryptodev_start(c->id);
	return rc ? refuse(text, c, "it does not start", rc) : ERR_OK;
}

static struct crypto *crypto_new(const struct dpdk_crypto_params *p)
{
	struct crypto *c = calloc(1, sizeof(*c)); /* system allocator: the host's is not here */

	if (!c)
		return NULL;
	c->queues = calloc(p->num_queues, sizeof(*c->queues)); /* system allocator: as above */
	if (!c->queues) {
		free(c);
		return NULL;
	}
	snprintf(c->name, sizeof(c->name), "%s", p->device);
	c->device = (struct aead_device){
		.ops = &crypto_ops, .name = c->name, .num_queues = p->num_queues};
	return c;
}

enum err crypto_open(struct aead_device **out, const struct dpdk_crypto_params *params,
		     char text[static DPDK_TEXT_MAX])
{
	struct rte_cryptodev_info info;
	struct crypto *c;
	enum err err;

	if (!params->num_queues || params->num_queues > DPDK_QUEUES_MAX + 1 ||
	    !params->num_sessions || strlen(params->device) >= DPDK_DEVICE_MAX) {
		snprintf(text, DPDK_TEXT_MAX, "%.60s: no such device can be", params->device);
		return ERR_INVAL;
	}
	c = crypto_new(params);
	if (!c)
		return ERR_NOMEM;
	err = find(c, &info, text);
	if (err) {
		release(c);
		return err;
	}
	err = set_up(c, &info, params, text);
	if (err) {
		close_it(&c->device);
		return err;
	}
	*out = &c->device;
	return ERR_OK;
}
