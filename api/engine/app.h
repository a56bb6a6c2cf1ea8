/* SPDX-License-Identifier: Apache-2.0 */
/*
 * app.h - the running engine as applications see it: latches (RFC 5660), tokens, profiles and
 * decisions. A narrow vtable, as backend.h is for control sockets, so that the application socket's
 * server is tested against a fake. What is called here is decided already to be the caller's right:
 * the server knows who asks, and that a socket is his.
 *
 * Thread: the loop's. No call blocks; what happens later comes as struct app_event.
 */
#pragma once

#include "api/engine/engine.h"
#include "base/addr.h"
#include "base/err.h"
#include "control/engine.h"
#include "dataplane/dataplane.h"

struct engine;

/* APP_NAME_MAX, APP_ID_MAX, APP_TEXT_MAX - room for a profile's name, an identity as people write
 * it, one sentence; with the 0. */
#define APP_NAME_MAX 32
#define APP_ID_MAX   264
#define APP_TEXT_MAX 256

/* enum app_part - which part IPsec plays in authenticating the peer. */
enum app_part {
	APP_PART_PROFILE = 0, /* what the profile says */
	APP_PART_IKE_ONLY,    /* IKE authenticates, and that is all */
	APP_PART_IKE_APP_ACK, /* IKE authenticates, then the application says yes or no */
	APP_PART_APP_ONLY,    /* the application does, over the channel and bound to it */
	APP_PART_NONE,        /* nobody does */
};

/* enum app_ask - what a demand says of a quality. */
enum app_ask {
	APP_ASK_PROFILE = 0, /* what the profile says */
	APP_ASK_NO,          /* it need not be so */
	APP_ASK_YES,
};

/* struct app_demand - what a flow's protection must be. Zero: what the profile says, and of the
 * default profile, "secure". An application may only strengthen: the server checks that. */
struct app_demand {
	char profile[APP_NAME_MAX];
	char peer[APP_ID_MAX];             /* "" = any that the rest lets */
	char local[APP_ID_MAX];            /* "" = as configured */
	uint8_t methods[AUTH_NUM_METHODS]; /* enum auth_method, the best first */
	uint32_t num_methods;              /* 0 = those of the profile */
	uint8_t part;                      /* enum app_part */
	uint8_t privacy;                   /* enum app_ask */
	uint8_t integrity;
	uint8_t tunnel;
	char suite[64]; /* ESP proposal as in `esp_proposals`; "" = any */
	uint32_t token; /* the protection class itself; 0 = any that the rest lets */
};

/* enum latch_state - RFC 5660 2.3. LARVAL is before ESTABLISHED, while IKE runs. */
enum latch_state {
	LATCH_LARVAL,
	LATCH_LISTENER,
	LATCH_ESTABLISHED,
	LATCH_BROKEN,
	LATCH_CLOSED,
};

/* struct app_latch_params - a latch to be made. flow: as the host said of the socket that was
 * passed; of a listener the local side alone, whose address may be unset (any). client: whom events
 * are for, the server's own number. keep: it outlives the client, until it is released or the
 * socket is gone. instead: a latch of the same flow whose place it takes, which is gone then; 0:
 * none. At no moment is the flow free. */
struct app_latch_params {
	struct flow flow;
	uint64_t instead;
	bool listener;
	bool keep;
	bool connected;  /* the socket is connected so, and could be otherwise (UDP) */
	uint64_t cookie; /* of the socket (SO_COOKIE); 0 = no socket */
	uint64_t client;
	uint32_t uid;
	struct app_demand demand;
};

/* struct app_latch - a latch as it is. */
struct app_latch {
	uint64_t id; /* never 0; not used again */
	struct flow flow;
	enum latch_state state;
	bool listener;
	uint64_t cookie;
	uint64_t client;
	uint32_t uid;
	uint32_t token;          /* protection class; 0 = none yet, or a listener */
	enum ike_reason reason;  /* why BROKEN or CLOSED */
	char text[APP_TEXT_MAX]; /* the same in a sentence for people; "" if there is nothing to say
				  */
	struct app_demand demand;
};

/* struct app_quality - of a protection class. */
struct app_quality {
	bool privacy; /* encrypted, by what the administrator trusts */
	bool integrity;
	bool compression;   /* bytes in and on the wire need not map linearly */
	bool replay;        /* replayed packets are found */
	bool tunnel;        /* else transport mode */
	bool indeterminate; /* SAs of the class are wide: their suite may change with a re-key */
	char suite[64];     /* of the newest SA, "AES_GCM_16-256"; "" while there is none */
};

/* struct app_class - whom a token stands for. proof is borrowed until the loop's next turn. */
struct app_class {
	uint32_t token;
	bool up;                        /* it has SAs now */
	const struct auth_proof *proof; /* the newest of the class */
	struct app_quality quality;
	const char *conn; /* name in the configuration, for people; NULL while there is no SA */
};

/* struct app_profile - a name for demands that an administrator edits. */
struct app_profile {
	char name[APP_NAME_MAX];
	uint8_t methods[AUTH_NUM_METHODS]; /* that may be used, the best first; never empty */
	uint32_t num_methods;
	bool privacy, integrity; /* are demanded */
	bool clear;              /* without IPsec is better than not at all (opportunistic) */
	bool make;               /* a connection is made where none is configured */
	bool bypass;             /* past IPsec, whatever protects the flow: who configures may */
	uint8_t part;            /* enum app_part, never PROFILE */
	char suites[256];        /* `esp_proposals` of what is made; "" = default */
};

/* enum app_event_kind - what is told. */
enum app_event_kind {
	APP_EVENT_LATCH,   /* its state is another (RFC 5660 ALERT) */
	APP_EVENT_SPAWNED, /* a listener latch has a new connection latch: latch.id, `parent` */
	APP_EVENT_ASK,     /* may this peer? answer with decide() */
	APP_EVENT_CGROUP,  /* what cgroup_demand() began stands, or is CLOSED and gone */
};

/* struct app_event - borrowed during the call. client: whom it is for. */
struct app_event {
	enum app_event_kind kind;
	uint64_t client;
	const struct app_latch *latch;
	bool gone;                      /* LATCH: it is no more; CLOSED alone is shut, and stays */
	uint64_t parent;                /* SPAWNED: the listener; else 0 */
	uint64_t ask;                   /* ASK: for decide() */
	uint64_t deadline_ns;           /* ASK: no answer until then is a no */
	const struct auth_proof *proof; /* ASK: who it is */
};

/* struct app_path - a path to a peer; borrowed during the call. */
struct app_path {
	const char *conn, *peer; /* name in the configuration, identity; NULL: not known */
	uint16_t id, weight;
	uint8_t priority;
	bool usable, active; /* this side may send by it; it does */
	bool decides;        /* this side decides about the paths to this peer */
	const struct path_addr *addr;
	const struct engine_path_info *data; /* NULL: nothing of it is known */
};

/* struct host_socket - see base/host.h. */
struct host_socket;

/*
 * struct app_ops - the functions that take `text` write a sentence for people there when they fail.
 * What names nothing is NOT_FOUND.
 */
struct app_ops {
	uint64_t (*now)(void *ctx);

	/* socket_inspect - what the host knows of a descriptor that was passed. socket_mark - what
	 * it sends demands this class (0: none). Errors: INVAL (no such socket), SYS, PERM. */
	enum err (*socket_inspect)(void *ctx, struct host_socket *out, int fd,
				   const struct flow *pair);
	enum err (*socket_mark)(void *ctx, int fd, uint32_t token);

	/* latch_create - begin: OK with *out_id; the state follows in events, ESTABLISHED or BROKEN
	 * or CLOSED, and it may come before the return. Nothing of the flow passes meanwhile.
	 * Errors: EXISTS (the flow is latched: find it), NOT_FOUND (profile, peer: nothing that
	 * could protect the flow), PERM (policy forbids), FULL, NOMEM, INVAL. */
	enum err (*latch_create)(void *ctx, uint64_t *out_id, const struct app_latch_params *params,
				 char text[APP_TEXT_MAX]);
	enum err (*latch_release)(void *ctx, uint64_t id);
	enum err (*latch_info)(void *ctx, struct app_latch *out, uint64_t id);
	enum err (*latch_find)(void *ctx, struct app_latch *out, const struct flow *flow,
			       bool listener);

	/* latch_client_gone - release what the client made, but what it let be kept.
	 * latch_socket_gone - the socket with this cookie is closed. latch_socket_seen - it is so
	 * now: a latch for what it was connected to, and is not, is CLOSED, and shut. */
	void (*latch_client_gone)(void *ctx, uint64_t client);
	void (*latch_socket_gone)(void *ctx, uint64_t cookie);
	void (*latch_socket_seen)(void *ctx, const struct host_socket *sock);

	/* flow_token - the class that a connected flow is tied to, by the table of the data path.
	 * Errors: NOT_FOUND (it is not protected), BAD_STATE (it was not from its first packet). */
	enum err (*flow_token)(void *ctx, uint32_t *out_token, const struct flow *flow);

	/* has_marks - the low bits of a packet's mark are its class, and nobody else's.
	 * interface_token - the one class of all that comes to this address of the host by the
	 * interface of this index; that stays so for *out_ms. Errors: NOT_FOUND (there is no such
	 * interface, or it has not one class). */
	bool (*has_marks)(void *ctx);
	enum err (*interface_token)(void *ctx, uint32_t *out_token, uint32_t *out_ms,
				    uint32_t ifindex, const struct ip_addr *to);

	/* class_info - Errors: NOT_FOUND. class_reaches - an SA of the class may carry packets to
	 * this local end (address unset: any), or could before; without a port: to each port. */
	enum err (*class_info)(void *ctx, struct app_class *out, uint32_t token);
	bool (*class_reaches)(void *ctx, uint32_t token, const struct flow *local);

	/* reauthenticate - A17: the latch's peer is to prove itself as the demand says: traffic
	 * waits, keys are made anew, the old latch is CLOSED and *out_id follows it. trigger - the
	 * SA that the latch needs, before any packet. delete - the SAs that serve it; it breaks. */
	enum err (*reauthenticate)(void *ctx, uint64_t *out_id, uint64_t id,
				   const struct app_demand *demand, char text[APP_TEXT_MAX]);
	enum err (*trigger)(void *ctx, uint64_t id);
	enum err (*sa_delete)(void *ctx, uint64_t id);

	/* decide - the answer to APP_EVENT_ASK. Late and unknown ones are NOT_FOUND. */
	enum err (*decide)(void *ctx, uint64_t client, uint64_t ask, bool accept);

	/* cgroup_demand - what processes of the control group whose directory fd is send goes to
	 * such a peer or nowhere; that the group is the caller's is for him to know. *out is as a
	 * latch without a flow: ESTABLISHED, or LARVAL, and APP_EVENT_CGROUP follows. It ends with
	 * cgroup_release(), or when the client is gone and the last process, too: until then the
	 * same user may have it again by the same demand. fd stays the caller's. Errors: EXISTS
	 * (the group demands something already), NOT_FOUND (profile, peer), INVAL, UNSUPPORTED,
	 * others. */
	enum err (*cgroup_demand)(void *ctx, struct app_latch *out, int fd,
				  const struct app_demand *demand, uint64_t client, uint32_t uid,
				  char text[APP_TEXT_MAX]);
	enum err (*cgroup_release)(void *ctx, uint64_t id);

	/* path - see engine_path(): request is a number that events about it have, as
	 * engine_request() gives it. each_path - fn for every path to every peer. */
	enum err (*path)(void *ctx, uint32_t *out_num, uint16_t *out_id,
			 const struct engine_path_request *req, char text[ENGINE_TEXT_MAX]);
	uint64_t (*request)(void *ctx);
	void (*each_path)(void *ctx, void (*fn)(void *arg, const struct app_path *path), void *arg);

	/* profile_each, profile_set - by index from 0; false past the last. set replaces or adds,
	 * until the configuration is loaded again. */
	bool (*profile_each)(void *ctx, struct app_profile *out, uint32_t i);
	enum err (*profile_set)(void *ctx, const struct app_profile *profile);

	/* secret_add, cert_add - credentials by their bytes: a pre-shared key for these identities;
	 * a certificate (DER or PEM) that is believed, as an authority's or as the peer's own.
	 * Until the configuration is loaded again. Errors: INVAL (text says why), NOMEM. */
	enum err (*secret_add)(void *ctx, const char *const *ids, uint32_t num_ids,
			       struct bytes secret, char text[APP_TEXT_MAX]);
	enum err (*cert_add)(void *ctx, bool authority, struct bytes cert, char text[APP_TEXT_MAX]);
};

/* struct app_backend - an implementation and its state. */
struct app_backend {
	const struct app_ops *ops;
	void *ctx;
};

/* engine_app - the engine for applications. engine_app_observe - tell is called with each event
 * from now on; NULL: with none. */
struct app_backend engine_app(struct engine *e) NONNULL(1);
void engine_app_observe(struct engine *e, void (*tell)(void *ctx, const struct app_event *event),
			void *ctx) NONNULL(1);
