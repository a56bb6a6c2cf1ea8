/* SPDX-License-Identifier: Apache-2.0 */
#include "api/host/nf.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#define RECV_LEN 16384
/* Room that a message without expressions needs at most, names included. */
#define MSG_MAX 512

void nf_put_u32(struct nf_batch *b, uint16_t attr, uint32_t value)
{
	struct be32 wire = be32_make(value);

	mnl_attr_put(b->msg, attr, sizeof(wire), &wire);
}

/* begin_msg - of this nftables type, or as it is with type 0 and up for the transaction's own. */
static void begin_msg(struct nf_batch *b, uint16_t type, uint16_t flags, uint8_t family)
{
	struct nfgenmsg *gen;

	assert(sizeof(b->buf) - b->len > MSG_MAX);
	b->msg = mnl_nlmsg_put_header(b->buf + b->len);
	b->msg->nlmsg_type = type;
	b->msg->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	b->msg->nlmsg_seq = b->seq++;
	gen = mnl_nlmsg_put_extra_header(b->msg, sizeof(*gen));
	gen->nfgen_family = family;
	gen->version = NFNETLINK_V0;
}

static void end_msg(struct nf_batch *b)
{
	b->len += b->msg->nlmsg_len;
	assert(b->len <= sizeof(b->buf));
	b->msg = NULL;
}

static void mark_msg(struct nf_batch *b, uint16_t type)
{
	struct nfgenmsg *gen;

	begin_msg(b, type, 0, AF_UNSPEC);
	gen = mnl_nlmsg_get_payload(b->msg);
	gen->res_id = htons(NFNL_SUBSYS_NFTABLES);
	end_msg(b);
}

static void begin(struct nf_batch *b, const struct nf_table *t, uint16_t type, uint16_t flags,
		  uint16_t table_attr)
{
	begin_msg(b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, t->family);
	mnl_attr_put_strz(b->msg, table_attr, t->name);
}

void nf_begin(struct nf_batch *b)
{
	b->len = 0;
	b->seq = 1;
	mark_msg(b, NFNL_MSG_BATCH_BEGIN);
}

/* ---- objects ----------------------------------------------------------------------------------
 */

void nf_table_add(struct nf_batch *b, const struct nf_table *t)
{
	begin(b, t, NFT_MSG_NEWTABLE, NLM_F_CREATE, NFTA_TABLE_NAME);
	nf_put_u32(b, NFTA_TABLE_FLAGS, 0);
	end_msg(b);
}

void nf_table_del(struct nf_batch *b, const struct nf_table *t)
{
	begin(b, t, NFT_MSG_DELTABLE, 0, NFTA_TABLE_NAME);
	end_msg(b);
}

void nf_chain_add(struct nf_batch *b, const struct nf_table *t, const struct nf_chain *c)
{
	struct nlattr *hook;

	begin(b, t, NFT_MSG_NEWCHAIN, NLM_F_CREATE, NFTA_CHAIN_TABLE);
	mnl_attr_put_strz(b->msg, NFTA_CHAIN_NAME, c->name);
	nf_put_u32(b, NFTA_CHAIN_POLICY, NF_ACCEPT);
	mnl_attr_put_strz(b->msg, NFTA_CHAIN_TYPE, c->type);
	hook = mnl_attr_nest_start(b->msg, NFTA_CHAIN_HOOK);
	nf_put_u32(b, NFTA_HOOK_HOOKNUM, c->hook);
	nf_put_u32(b, NFTA_HOOK_PRIORITY, (uint32_t)c->priority);
	if (c->device)
		mnl_attr_put_strz(b->msg, NFTA_HOOK_DEV, c->device);
	mnl_attr_nest_end(b->msg, hook);
	end_msg(b);
	begin(b, t, NFT_MSG_DELRULE, 0, NFTA_RULE_TABLE);
	mnl_attr_put_strz(b->msg, NFTA_RULE_CHAIN, c->name);
	end_msg(b);
}

void nf_chain_del(struct nf_batch *b, const struct nf_table *t, const char *chain)
{
	begin(b, t, NFT_MSG_DELCHAIN, 0, NFTA_CHAIN_TABLE);
	mnl_attr_put_strz(b->msg, NFTA_CHAIN_NAME, chain);
	end_msg(b);
}

void nf_set_add(struct nf_batch *b, const struct nf_table *t, const struct nf_set *s)
{
	/* In nft's own form (type, length, value): the key's byte order, 1 the host's, 2 the
	 * wire's. */
	const uint32_t order = s->type == NF_TYPE_IFNAME || s->type == NF_TYPE_CGROUP ? 1 : 2;
	uint8_t note[2 + sizeof(order)] = {0, sizeof(order)};

	memcpy(note + 2, &order, sizeof(order));
	begin(b, t, NFT_MSG_NEWSET, NLM_F_CREATE, NFTA_SET_TABLE);
	mnl_attr_put_strz(b->msg, NFTA_SET_NAME, s->name);
	nf_put_u32(b, NFTA_SET_FLAGS, s->data_type ? NFT_SET_MAP : 0);
	nf_put_u32(b, NFTA_SET_KEY_TYPE, s->type);
	nf_put_u32(b, NFTA_SET_KEY_LEN, s->key_len);
	if (s->data_type) {
		nf_put_u32(b, NFTA_SET_DATA_TYPE, s->data_type);
		nf_put_u32(b, NFTA_SET_DATA_LEN, sizeof(uint32_t));
	}
	nf_put_u32(b, NFTA_SET_ID, 1);
	mnl_attr_put(b->msg, NFTA_SET_USERDATA, sizeof(note), note);
	end_msg(b);
}

void nf_set_del(struct nf_batch *b, const struct nf_table *t, const char *set)
{
	begin(b, t, NFT_MSG_DELSET, 0, NFTA_SET_TABLE);
	mnl_attr_put_strz(b->msg, NFTA_SET_NAME, set);
	end_msg(b);
}

static void put_data(struct nf_batch *b, uint16_t attr, const void *bytes, size_t len)
{
	struct nlattr *data = mnl_attr_nest_start(b->msg, attr);

	mnl_attr_put(b->msg, NFTA_DATA_VALUE, len, bytes);
	mnl_attr_nest_end(b->msg, data);
}

static void elem(struct nf_batch *b, const struct nf_table *t, const struct nf_set *s,
		 const void *key, const uint32_t *data, uint16_t type, uint16_t flags)
{
	struct nlattr *list, *one;

	begin(b, t, type, flags, NFTA_SET_ELEM_LIST_TABLE);
	mnl_attr_put_strz(b->msg, NFTA_SET_ELEM_LIST_SET, s->name);
	list = mnl_attr_nest_start(b->msg, NFTA_SET_ELEM_LIST_ELEMENTS);
	one = mnl_attr_nest_start(b->msg, NFTA_LIST_ELEM);
	put_data(b, NFTA_SET_ELEM_KEY, key, s->key_len);
	if (data)
		put_data(b, NFTA_SET_ELEM_DATA, data, sizeof(*data));
	mnl_attr_nest_end(b->msg, one);
	mnl_attr_nest_end(b->msg, list);
	end_msg(b);
}

void nf_elem_add(struct nf_batch *b, const struct nf_table *t, const struct nf_set *s,
		 const void *key)
{
	elem(b, t, s, key, NULL, NFT_MSG_NEWSETELEM, NLM_F_CREATE);
}

void nf_elem_map(struct nf_batch *b, const struct nf_table *t, const struct nf_set *s,
		 const void *key, uint32_t data)
{
	elem(b, t, s, key, &data, NFT_MSG_NEWSETELEM, NLM_F_CREATE);
}

void nf_elem_del(struct nf_batch *b, const struct nf_table *t, const struct nf_set *s,
		 const void *key)
{
	elem(b, t, s, key, NULL, NFT_MSG_DELSETELEM, 0);
}

void nf_rule_begin(struct nf_batch *b, const struct nf_table *t, const char *chain)
{
	begin(b, t, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, NFTA_RULE_TABLE);
	mnl_attr_put_strz(b->msg, NFTA_RULE_CHAIN, chain);
	b->list = mnl_attr_nest_start(b->msg, NFTA_RULE_EXPRESSIONS);
}

void nf_rule_end(struct nf_batch *b)
{
	mnl_attr_nest_end(b->msg, b->list);
	end_msg(b);
}

/* ---- the kernel -------------------------------------------------------------------------------
 */

static enum err open_socket(struct mnl_socket **out)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);

	if (!nl)
		return errno == EPROTONOSUPPORT ? ERR_UNSUPPORTED : host_failed();
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0) {
		enum err err = host_failed();

		mnl_socket_close(nl);
		return err;
	}
	*out = nl;
	return ERR_OK;
}

/* error_in - the first refusal among these messages; 0 if there is none. */
static int error_in(const void *buf, int len)
{
	for (const struct nlmsghdr *m = buf; mnl_nlmsg_ok(m, len); m = mnl_nlmsg_next(m, &len)) {
		const struct nlmsgerr *e = mnl_nlmsg_get_payload(m);

		if (m->nlmsg_type == NLMSG_ERROR && mnl_nlmsg_get_payload_len(m) >= sizeof(*e) &&
		    e->error)
			return -e->error;
	}
	return 0;
}

/* answer - what the kernel said: a batch is done when it was sent, and only refusals are told. */
static int answer(struct mnl_socket *nl)
{
	alignas(struct nlmsghdr) uint8_t buf[RECV_LEN];
	int first = 0;

	for (;;) {
		ssize_t n = recv(mnl_socket_get_fd(nl), buf, sizeof(buf), MSG_DONTWAIT);

		if (n < 0)
			return first || errno == EAGAIN ? first : errno;
		if (!first)
			first = error_in(buf, (int)n);
	}
}

static enum err nf_err(int e)
{
	errno = e;
	return e == EOPNOTSUPP || e == EPROTONOSUPPORT ? ERR_UNSUPPORTED : host_err(e);
}

/* The socket stays open: closing one waits until the kernel has freed all that was removed. */
enum err nf_commit(struct host_linux *h, struct nf_batch *b)
{
	enum err err = h->nf ? ERR_OK : open_socket(&h->nf);

	if (err)
		return err;
	mark_msg(b, NFNL_MSG_BATCH_END);
	return nf_err(mnl_socket_sendto(h->nf, b->buf, b->len) < 0 ? errno : answer(h->nf));
}

/* ---- elements ---------------------------------------------------------------------------------
 */

/* struct walk - who is told of each key. */
struct walk {
	void (*fn)(void *arg, const uint8_t *key, size_t len);
	void *arg;
};

static int value_cb(const struct nlattr *attr, void *data)
{
	const struct walk *w = data;

	if (mnl_attr_get_type(attr) == NFTA_DATA_VALUE)
		w->fn(w->arg, mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));
	return MNL_CB_OK;
}

static int elem_cb(const struct nlattr *attr, void *data)
{
	if (mnl_attr_get_type(attr) == NFTA_SET_ELEM_KEY)
		return mnl_attr_parse_nested(attr, value_cb, data);
	return MNL_CB_OK;
}

static int list_cb(const struct nlattr *attr, void *data)
{
	return mnl_attr_parse_nested(attr, elem_cb, data);
}

static int attr_cb(const struct nlattr *attr, void *data)
{
	if (mnl_attr_get_type(attr) == NFTA_SET_ELEM_LIST_ELEMENTS)
		return mnl_attr_parse_nested(attr, list_cb, data);
	return MNL_CB_OK;
}

static int message_cb(const struct nlmsghdr *head, void *data)
{
	return mnl_attr_parse(head, sizeof(struct nfgenmsg), attr_cb, data);
}

static int receive_all(struct mnl_socket *nl, uint32_t seq, struct walk *w)
{
	alignas(struct nlmsghdr) uint8_t buf[RECV_LEN];
	int rc;

	do {
		ssize_t n = mnl_socket_recvfrom(nl, buf, sizeof(buf));

		if (n < 0)
			return errno;
		rc = mnl_cb_run(buf, (size_t)n, seq, mnl_socket_get_portid(nl), message_cb, w);
	} while (rc > MNL_CB_STOP);
	return rc < 0 ? errno : 0;
}

enum err nf_set_each(const struct nf_table *t, const char *set,
		     void (*fn)(void *arg, const uint8_t *key, size_t len), void *arg)
{
	struct walk w = {fn, arg};
	struct mnl_socket *nl;
	struct nf_batch b = {.seq = 1};
	enum err err = open_socket(&nl);
	int e;

	if (err)
		return err;
	begin(&b, t, NFT_MSG_GETSETELEM, NLM_F_DUMP, NFTA_SET_ELEM_LIST_TABLE);
	mnl_attr_put_strz(b.msg, NFTA_SET_ELEM_LIST_SET, set);
	end_msg(&b);
	e = mnl_socket_sendto(nl, b.buf, b.len) < 0 ? errno : receive_all(nl, 1, &w);
	mnl_socket_close(nl);
	return e == ENOENT ? ERR_OK : nf_err(e);
}
