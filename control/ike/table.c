/* SPDX-License-Identifier: Apache-2.0 */
/* table.c - IKEv2 as data: every step that this engine takes. Rows are tried in order. */
#include "control/ike/handlers.h"

#define BIT(name) PAYLOAD_BIT(PAYLOAD_##name)

/* Ignored wherever they appear, as RFC 7296 asks of what is not understood or not asked for. */
#define ALWAYS \
	(BIT(NOTIFY) | BIT(VENDOR) | BIT(CERT) | BIT(CERTREQ) | BIT(CP) | BIT(DELETE) | BIT(SK))
#define CHILD_OFFER (BIT(SA) | BIT(TSI) | BIT(TSR))
#define ANYTHING    UINT64_MAX
/* REPLACED_NS - how long an IKE SA that was replaced waits for the peer's delete. */
#define REPLACED_NS (120 * NS_PER_S)

/* Rows of one state and one trigger read: state, trigger, what, task, need, may. */
static const struct transition table[] = {
	/*
	 *   HDR, SAi1, KEi, Ni  -->                                                    (1.2)
	 *                                <--  HDR, SAr1, KEr, Nr
	 */
	{SA_NONE, ON_START, 0, TASK_SA_INIT, 0, 0, sa_init_start, SA_I_INIT, 0,
	 "offer algorithms and a key share"},
	{SA_NONE, ON_REQUEST, IKE_SA_INIT, TASK_NONE, BIT(SA) | BIT(KE) | BIT(NONCE), BIT(PS),
	 sa_init_request, SA_R_INIT, HALF_OPEN, "choose algorithms, answer with our key share"},
	{SA_I_INIT, ON_RESPONSE, IKE_SA_INIT, TASK_NONE, BIT(SA) | BIT(KE) | BIT(NONCE), 0,
	 sa_init_response, SA_I_PPK, 0,
	 "take the choice, derive keys, ask for the PPK or begin another key exchange"},
	/*
	 *   HDR, SAi1, KEi, Ni  -->                                              (RFC 8019 7.1)
	 *                                <--  HDR, N(COOKIE), N(PUZZLE)
	 *   (repeated while it is solved) HDR, SAi1, KEi, Ni  -->
	 *   HDR, N(COOKIE), [PS,] SAi1, KEi, Ni  -->
	 */
	{SA_I_INIT, ON_RESPONSE, IKE_SA_INIT, TASK_NONE, HAS_COOKIE | HAS_PUZZLE, 0, puzzle_given,
	 SA_I_PUZZLE, 0, "ask for the puzzle's solution, if it is not too difficult"},
	{SA_I_PUZZLE, ON_RESPONSE, IKE_SA_INIT, TASK_NONE, BIT(SA) | BIT(KE) | BIT(NONCE), 0,
	 sa_init_response, SA_I_PPK, 0,
	 "whoever wanted it solved was another, or wants it no more"},
	{SA_I_PUZZLE, ON_RESPONSE, IKE_SA_INIT, TASK_NONE, HAS_COOKIE | HAS_PUZZLE, 0,
	 puzzle_another, SA_I_PUZZLE, 0, "solve this one instead, if it is easier"},
	{SA_I_PUZZLE, ON_RESPONSE, IKE_SA_INIT, TASK_NONE, HAS_COOKIE, 0, puzzle_cookie, SA_I_INIT,
	 0, "no solution is needed: the same again with the cookie in front"},
	{SA_I_PUZZLE, ON_RESPONSE, IKE_SA_INIT, TASK_NONE, HAS_INVALID_KE, 0, puzzle_group,
	 SA_I_INIT, 0, "nor here: the same with a key share of the group asked for"},
	{SA_I_PUZZLE, ON_ANSWER, IKE_ASK_PUZZLE, TASK_NONE, 0, 0, puzzle_solved, SA_I_INIT, 0,
	 "send the same again with the cookie in front, and the solution if there is one"},
	/*
	 *   HDR, SAi1, KEi, Ni  -->                                                    (2.6)
	 *                                <--  HDR, N(COOKIE)
	 *   HDR, N(COOKIE), SAi1, KEi, Ni  -->
	 */
	{SA_I_INIT, ON_RESPONSE, IKE_SA_INIT, TASK_NONE, HAS_COOKIE, 0, sa_init_cookie, SA_I_INIT,
	 0, "send the same again with the cookie in front"},
	/*
	 *   HDR, SAi1, KEi, Ni  -->                                                    (1.2)
	 *                                <--  HDR, N(INVALID_KE_PAYLOAD)
	 */
	{SA_I_INIT, ON_RESPONSE, IKE_SA_INIT, TASK_NONE, HAS_INVALID_KE, 0, sa_init_invalid_ke,
	 SA_I_INIT, 0, "once: the same with a key share of the group asked for, if we offered it"},
	/*
	 *   HDR, N(REDIRECT_SUPPORTED), SAi1, KEi, Ni  -->                       (RFC 5685 3)
	 *                                <--  HDR, N(REDIRECT)
	 *   (to another gateway) HDR, N(REDIRECTED_FROM), SAi1, KEi, Ni  -->
	 */
	{SA_I_INIT, ON_RESPONSE, IKE_SA_INIT, TASK_NONE, HAS_REDIRECT, 0, redirect_init, SA_I_INIT,
	 0, "go to the gateway that this one names, with a nonce and a key share of their own"},
	/*
	 * Wherever a gateway was named by a name: in IKE_SA_INIT, in answer to a ticket, and for an
	 * IKE SA that is to be in the place of the one in which it was.
	 */
	{SA_I_INIT, ON_START, 0, TASK_FIND, 0, 0, redirect_look_up, SA_I_FIND, 0,
	 "ask where that gateway is"},
	{SA_I_RESUME, ON_START, 0, TASK_FIND, 0, 0, redirect_look_up, SA_I_FIND, 0,
	 "ask where that gateway is"},
	{SA_NONE, ON_START, 0, TASK_FIND, 0, 0, redirect_look_up, SA_I_FIND, 0,
	 "ask where that gateway is"},
	{SA_I_FIND, ON_ANSWER, IKE_ASK_RESOLVE, TASK_FIND, 0, 0, redirect_found, SA_I_INIT, 0,
	 "begin there"},
	{SA_I_INIT, ON_RESPONSE, IKE_SA_INIT, TASK_NONE, HAS_ERROR, 0, sa_init_refused, SA_I_INIT,
	 0, "the peer refuses: say why and end"},

	/*
	 *   HDR, SK {KEi(n)}  -->                            (RFC 9242 3.2, RFC 9370 2.2.2)
	 *                                <--  HDR, SK {KEr(n)}
	 */
	{SA_I_PPK, ON_RESPONSE, IKE_INTERMEDIATE, TASK_NONE, BIT(KE), 0, intermediate_response,
	 SA_I_PPK, 0, "take new keys; begin the next key exchange, or ask for the PPK"},
	{SA_I_PPK, ON_RESPONSE, IKE_INTERMEDIATE, TASK_NONE, HAS_ERROR, 0, intermediate_refused,
	 SA_I_PPK, 0, "the peer refuses: say why and end"},
	{SA_R_INIT, ON_REQUEST, IKE_INTERMEDIATE, TASK_NONE, BIT(KE) | KEYS_MORE, 0,
	 intermediate_request, SA_R_INIT, 0, "answer with our key share, take new keys"},

	/*
	 *   HDR, [N(COOKIE),] Ni, N(TICKET_OPAQUE)  -->                         (RFC 5723 4)
	 *                                <--  HDR, Nr
	 *   HDR, SK {IDi, [IDr,] AUTH, SAi2, TSi, TSr}  -->
	 *                                <--  HDR, SK {IDr, AUTH, SAr2, TSi, TSr}
	 */
	{SA_NONE, ON_START, 0, TASK_RESUME, 0, 0, resume_begin, SA_I_JUDGE, 0,
	 "ask whether the peer that gave a ticket still is who it was"},
	{SA_I_JUDGE, ON_ANSWER, IKE_ASK_VERIFY_CHAIN, TASK_RESUME, 0, 0, resume_start, SA_I_RESUME,
	 0, "believed as before: show the ticket; else go on without"},
	{SA_NONE, ON_REQUEST, IKE_SESSION_RESUME, TASK_NONE, BIT(NONCE), 0, resume_request,
	 SA_R_RESUMED, HALF_OPEN, "open the ticket, derive keys, answer with our nonce"},
	{SA_I_RESUME, ON_RESPONSE, IKE_SESSION_RESUME, TASK_NONE, BIT(NONCE), 0, resume_response,
	 SA_I_RESUMED, 0, "derive keys"},
	{SA_I_RESUMED, ON_START, 0, TASK_RESUME, 0, 0, resume_prove, SA_I_RESUMED, 0,
	 "prove that we have them, offer the first Child SA"},
	{SA_I_RESUME, ON_RESPONSE, IKE_SESSION_RESUME, TASK_NONE, HAS_COOKIE, 0, resume_cookie,
	 SA_I_RESUME, 0, "send the same again with the cookie in front"},
	/*
	 *                                <--  HDR, N(TICKET_NACK)
	 */
	{SA_I_RESUME, ON_RESPONSE, IKE_SESSION_RESUME, TASK_NONE, HAS_TICKET_NACK, 0,
	 resume_refused, SA_I_RESUME, 0, "the ticket is not taken: go on without"},
	/*
	 *   HDR, Ni, N(TICKET_OPAQUE), N(REDIRECT_SUPPORTED)  -->                (RFC 5685 3)
	 *                                <--  HDR, N(REDIRECT)
	 */
	{SA_I_RESUME, ON_RESPONSE, IKE_SESSION_RESUME, TASK_NONE, HAS_REDIRECT, 0, redirect_resume,
	 SA_I_RESUME, 0, "go to the gateway that this one names, without the ticket"},
	{SA_I_RESUME, ON_START, 0, TASK_SA_INIT, 0, 0, sa_init_start, SA_I_INIT, 0,
	 "a whole handshake after all"},
	{SA_I_RESUMED, ON_RESPONSE, IKE_AUTH, TASK_NONE, BIT(IDR) | BIT(AUTH) | CHILD_OFFER, 0,
	 resume_auth_response, SA_I_AUTHORIZE, 0,
	 "verify AUTH by the keys alone, ask whether this peer is welcome"},
	{SA_I_RESUMED, ON_RESPONSE, IKE_AUTH, TASK_NONE, BIT(IDR) | BIT(AUTH), 0,
	 resume_auth_response, SA_I_AUTHORIZE, 0, "the same without a Child SA"},
	{SA_I_RESUMED, ON_RESPONSE, IKE_AUTH, TASK_NONE, HAS_ERROR, 0, resume_auth_refused,
	 SA_I_RESUMED, 0, "the peer refuses: say so and end"},
	{SA_R_RESUMED, ON_REQUEST, IKE_AUTH, TASK_NONE, BIT(IDI) | BIT(AUTH) | CHILD_OFFER,
	 BIT(IDR), resume_auth_request, SA_R_JUDGE, HALF_OPEN,
	 "verify AUTH by the keys alone, spend the ticket, ask whether it still holds"},
	{SA_R_RESUMED, ON_REQUEST, IKE_AUTH, TASK_NONE, BIT(IDI) | BIT(AUTH), BIT(IDR),
	 resume_auth_request, SA_R_JUDGE, HALF_OPEN, "the same without a Child SA (RFC 6023)"},
	{SA_R_JUDGE, ON_ANSWER, IKE_ASK_VERIFY_CHAIN, TASK_NONE, 0, 0, resume_judged,
	 SA_R_AUTHORIZE, HALF_OPEN, "believed as before: ask whether this peer is welcome"},

	/*
	 *   HDR, SK {IDi, [IDr,] AUTH,                                      (1.2, RFC 8784)
	 *       SAi2, TSi, TSr,
	 *       [N(PPK_IDENTITY), [N(NO_PPK_AUTH)]]}  -->
	 *                                <--  HDR, SK {IDr, AUTH, SAr2, TSi, TSr,
	 *                                         [N(PPK_IDENTITY)]}
	 */
	{SA_I_PPK, ON_ANSWER, IKE_ASK_PPK, TASK_NONE, 0, 0, ppk_answered_i, SA_I_SECRET, 0,
	 "mix the post-quantum pre-shared key in, ask for our secret"},
	{SA_I_SECRET, ON_ANSWER, IKE_ASK_SECRET, TASK_NONE, 0, 0, auth_start, SA_I_AUTH, 0,
	 "prove our identity, offer the first Child SA"},
	{SA_I_SECRET, ON_ANSWER, IKE_ASK_SIGN, TASK_NONE, 0, 0, auth_start, SA_I_AUTH, 0,
	 "the same by a signature (RFC 7427)"},
	{SA_I_AUTH, ON_RESPONSE, IKE_AUTH, TASK_NONE, BIT(IDR) | BIT(AUTH) | CHILD_OFFER, 0,
	 auth_response, SA_I_VERIFY, 0, "check who answers, ask for the secret that proves it"},
	{SA_I_AUTH, ON_RESPONSE, IKE_AUTH, TASK_NONE, BIT(IDR) | BIT(AUTH), 0, auth_response,
	 SA_I_VERIFY, 0, "the same without a Child SA: it was refused or not offered"},
	{SA_I_AUTH, ON_RESPONSE, IKE_AUTH, TASK_NONE, HAS_ERROR, 0, auth_refused, SA_I_AUTH, 0,
	 "the peer refuses: say why and end"},
	{SA_I_VERIFY, ON_ANSWER, IKE_ASK_SECRET, TASK_NONE, 0, 0, auth_verify_i, SA_I_AUTHORIZE, 0,
	 "verify AUTH, ask whether this peer is welcome"},
	{SA_I_VERIFY, ON_ANSWER, IKE_ASK_VERIFY_CHAIN, TASK_NONE, 0, 0, auth_verify_i,
	 SA_I_AUTHORIZE, 0, "verify the signature, ask whether this peer is welcome"},
	/*
	 *   HDR, SK {IDi, [IDr,]                                                      (2.16)
	 *       SAi2, TSi, TSr}  -->
	 *                                <--  HDR, SK {IDr, [CERT,] [AUTH,] EAP}
	 *   HDR, SK {EAP}  -->
	 *                                <--  HDR, SK {EAP (success)}
	 *   HDR, SK {AUTH}  -->
	 *                                <--  HDR, SK {AUTH, SAr2, TSi, TSr}
	 */
	{SA_I_AUTH, ON_RESPONSE, IKE_AUTH, TASK_NONE, BIT(IDR) | BIT(AUTH) | BIT(EAP), 0,
	 eap_server_response, SA_I_EAP_SERVER, 0,
	 "a server that wants EAP: check first who it is, ask for what proves it"},
	{SA_I_AUTH, ON_RESPONSE, IKE_AUTH, TASK_NONE, BIT(IDR) | BIT(EAP), 0, eap_alone_response,
	 SA_I_EAP_SERVER, 0, "the same by EAP alone (RFC 5998), if that is said"},
	{SA_I_EAP_SERVER, ON_ANSWER, IKE_ASK_VERIFY_CHAIN, TASK_NONE, 0, 0, eap_verify_i,
	 SA_I_EAP_WORK, 0, "verify the server's signature, look at its EAP packet"},
	{SA_I_EAP_WORK, ON_ANSWER, IKE_ASK_EAP_SECRET, TASK_NONE, 0, 0, eap_answer_i, SA_I_EAP, 0,
	 "send an EAP packet, or AUTH of the key when the server says that all is well"},
	{SA_I_EAP_WORK, ON_ANSWER, IKE_ASK_EAP_KEY, TASK_NONE, 0, 0, eap_answer_i, SA_I_EAP, 0,
	 "the same with a certificate of ours"},
	{SA_I_EAP_WORK, ON_ANSWER, IKE_ASK_VERIFY_CHAIN, TASK_NONE, 0, 0, eap_answer_i, SA_I_EAP, 0,
	 "the same, if the server's certificate is believed"},
	{SA_I_EAP, ON_RESPONSE, IKE_AUTH, TASK_NONE, BIT(EAP), 0, eap_response_i, SA_I_EAP_WORK, 0,
	 "look at an EAP packet, ask for what it needs"},
	{SA_I_EAP, ON_RESPONSE, IKE_AUTH, TASK_NONE, BIT(AUTH) | CHILD_OFFER, 0, eap_final_i,
	 SA_I_AUTHORIZE, 0, "verify AUTH of EAP's key, ask whether this peer is welcome"},
	{SA_I_EAP, ON_RESPONSE, IKE_AUTH, TASK_NONE, BIT(AUTH), 0, eap_final_i, SA_I_AUTHORIZE, 0,
	 "the same without a Child SA"},
	{SA_I_EAP, ON_RESPONSE, IKE_AUTH, TASK_NONE, HAS_ERROR, 0, auth_refused, SA_I_EAP, 0,
	 "the peer refuses: say why and end"},
	{SA_I_AUTHORIZE, ON_ANSWER, IKE_ASK_AUTHORIZE, TASK_NONE, 0, 0, auth_authorized_i,
	 SA_I_ACCEPT, 0, "ask whether the Child SA is"},
	{SA_I_ACCEPT, ON_ANSWER, IKE_ASK_CHILD_ACCEPT, TASK_NONE, 0, 0, auth_accepted_i,
	 SA_ESTABLISHED, 0, "established; install the Child SA"},

	{SA_R_INIT, ON_REQUEST, IKE_AUTH, TASK_NONE, BIT(IDI) | BIT(AUTH) | CHILD_OFFER | KEYS_DONE,
	 BIT(IDR), auth_request, SA_R_PPK, HALF_OPEN,
	 "choose a connection, ask for the PPK that is named"},
	{SA_R_INIT, ON_REQUEST, IKE_AUTH, TASK_NONE, BIT(IDI) | BIT(AUTH) | KEYS_DONE, BIT(IDR),
	 auth_request, SA_R_PPK, HALF_OPEN, "the same without a Child SA (RFC 6023)"},
	{SA_R_PPK, ON_ANSWER, IKE_ASK_PPK, TASK_NONE, 0, 0, ppk_answered_r, SA_R_VERIFY, HALF_OPEN,
	 "mix it in, ask for the peer's secret"},
	/* The whole of EAP has the time that a half-open IKE SA has. */
	{SA_R_INIT, ON_REQUEST, IKE_AUTH, TASK_NONE, BIT(IDI) | CHILD_OFFER | KEYS_DONE, BIT(IDR),
	 eap_begin_r, SA_R_EAP_SIGN, 0,
	 "without AUTH the peer asks for EAP (2.16): ask for our signature"},
	{SA_R_INIT, ON_REQUEST, IKE_AUTH, TASK_NONE, BIT(IDI) | KEYS_DONE, BIT(IDR), eap_begin_r,
	 SA_R_EAP_SIGN, 0, "the same without a Child SA (RFC 6023)"},
	{SA_R_EAP_SIGN, ON_ANSWER, IKE_ASK_SIGN, TASK_NONE, 0, 0, eap_signed_r, SA_R_EAP, 0,
	 "prove our identity first, begin EAP"},
	{SA_R_EAP_SIGN, ON_ANSWER, IKE_ASK_EAP_SERVER, TASK_NONE, 0, 0, eap_begun_r, SA_R_EAP, 0,
	 "the same with the first packet of the server that knows the peer"},
	{SA_R_EAP, ON_REQUEST, IKE_AUTH, TASK_NONE, BIT(EAP), 0, eap_request_r, SA_R_EAP_WORK, 0,
	 "look at an EAP packet, ask for what it needs"},
	{SA_R_EAP_WORK, ON_ANSWER, IKE_ASK_EAP_SECRET, TASK_NONE, 0, 0, eap_answer_r, SA_R_EAP, 0,
	 "send the next one, or that all is well"},
	{SA_R_EAP_WORK, ON_ANSWER, IKE_ASK_EAP_KEY, TASK_NONE, 0, 0, eap_answer_r, SA_R_EAP, 0,
	 "the same with a certificate of ours"},
	{SA_R_EAP_WORK, ON_ANSWER, IKE_ASK_VERIFY_CHAIN, TASK_NONE, 0, 0, eap_answer_r, SA_R_EAP, 0,
	 "the same, if the peer's certificate is believed"},
	{SA_R_EAP_WORK, ON_ANSWER, IKE_ASK_EAP_SERVER, TASK_NONE, 0, 0, eap_answer_r, SA_R_EAP, 0,
	 "pass on what the server that knows the peer says"},
	{SA_R_EAP, ON_REQUEST, IKE_AUTH, TASK_NONE, BIT(AUTH), 0, eap_final_r, SA_R_EAP_PPK, 0,
	 "keep AUTH of EAP's key, ask for the PPK that is named"},
	{SA_R_EAP_PPK, ON_ANSWER, IKE_ASK_PPK, TASK_NONE, 0, 0, eap_verify_r, SA_R_AUTHORIZE, 0,
	 "verify AUTH, ask whether this peer is welcome"},
	{SA_R_VERIFY, ON_ANSWER, IKE_ASK_SECRET, TASK_NONE, 0, 0, auth_verify_r, SA_R_SIGN,
	 HALF_OPEN, "verify AUTH, make our own with the same secret or ask for it"},
	{SA_R_VERIFY, ON_ANSWER, IKE_ASK_VERIFY_CHAIN, TASK_NONE, 0, 0, auth_verify_r, SA_R_SIGN,
	 HALF_OPEN, "verify the signature, ask for our own AUTH"},
	{SA_R_SIGN, ON_ANSWER, IKE_ASK_SIGN, TASK_NONE, 0, 0, auth_signed_r, SA_R_AUTHORIZE,
	 HALF_OPEN, "keep our AUTH, ask whether this peer is welcome"},
	{SA_R_SIGN, ON_ANSWER, IKE_ASK_SECRET, TASK_NONE, 0, 0, auth_signed_r, SA_R_AUTHORIZE,
	 HALF_OPEN, "the same by a pre-shared key, of a peer that signed"},
	{SA_R_AUTHORIZE, ON_ANSWER, IKE_ASK_AUTHORIZE, TASK_NONE, 0, 0, auth_authorized_r,
	 SA_R_ACCEPT, HALF_OPEN, "narrow the selectors, ask whether the Child SA is"},
	{SA_R_ACCEPT, ON_ANSWER, IKE_ASK_CHILD_ACCEPT, TASK_NONE, 0, 0, auth_accepted_r,
	 SA_ESTABLISHED, 0, "prove our identity, install the Child SA, established"},

	/*
	 *   HDR, SK {SA, Ni, KEi}  -->                                               (1.3.2)
	 *                                <--  HDR, SK {SA, Nr, KEr}
	 */
	{SA_ESTABLISHED, ON_START, 0, TASK_IKE_REKEY, 0, 0, ike_rekey_start, SA_ESTABLISHED, 0,
	 "re-key the IKE SA"},
	{SA_ESTABLISHED, ON_REQUEST, CREATE_CHILD_SA, TASK_CHILD_NEW,
	 BIT(SA) | BIT(NONCE) | BIT(KE), 0, refuse_temporarily, SA_ESTABLISHED, 0,
	 "not while a Child SA of ours is being made (2.25.1)"},
	{SA_ESTABLISHED, ON_REQUEST, CREATE_CHILD_SA, TASK_CHILD_REKEY,
	 BIT(SA) | BIT(NONCE) | BIT(KE), 0, refuse_temporarily, SA_ESTABLISHED, 0,
	 "not while we re-key a Child SA (2.25.1)"},
	{SA_ESTABLISHED, ON_REQUEST, CREATE_CHILD_SA, TASK_CHILD_SIBLING,
	 BIT(SA) | BIT(NONCE) | BIT(KE), 0, refuse_temporarily, SA_ESTABLISHED, 0,
	 "not while a sibling of ours is being made (2.25.1)"},
	{SA_ESTABLISHED, ON_REQUEST, CREATE_CHILD_SA, TASK_CHILD_DELETE,
	 BIT(SA) | BIT(NONCE) | BIT(KE), 0, refuse_temporarily, SA_ESTABLISHED, 0,
	 "not while we close a Child SA (2.25.1)"},
	{SA_ESTABLISHED, ON_REQUEST, CREATE_CHILD_SA, TASK_IKE_REKEY,
	 BIT(SA) | BIT(NONCE) | BIT(KE), 0, ike_rekey_crossing, SA_ESTABLISHED, 0,
	 "both re-key the IKE SA: answer, and let the nonces decide later (2.8.1, 2.25.2)"},
	{SA_ESTABLISHED, ON_REQUEST, CREATE_CHILD_SA, TASK_IKE_REKEY_CROSSED,
	 BIT(SA) | BIT(NONCE) | BIT(KE), 0, refuse_temporarily, SA_ESTABLISHED, 0,
	 "not once more while one of the peer's stands by"},
	{SA_ESTABLISHED, ON_REQUEST, CREATE_CHILD_SA, TASK_NONE, BIT(SA) | BIT(NONCE) | BIT(KE), 0,
	 ike_rekey_request, SA_REKEYED, REPLACED_NS, "make the new IKE SA, hand the children over"},
	{SA_ESTABLISHED, ON_RESPONSE, CREATE_CHILD_SA, TASK_IKE_REKEY,
	 BIT(SA) | BIT(NONCE) | BIT(KE), 0, ike_rekey_response, SA_REKEYED, REPLACED_NS,
	 "make the new IKE SA, hand the children over, close the old one"},
	{SA_ESTABLISHED, ON_RESPONSE, CREATE_CHILD_SA, TASK_IKE_REKEY_CROSSED,
	 BIT(SA) | BIT(NONCE) | BIT(KE), 0, ike_rekey_response, SA_REKEYED, REPLACED_NS,
	 "two new IKE SAs: the nonces say which of them stays"},
	{SA_ESTABLISHED, ON_RESPONSE, CREATE_CHILD_SA, TASK_IKE_REKEY, HAS_ERROR, 0,
	 ike_rekey_refused, SA_ESTABLISHED, 0, "try again later or with another group"},
	{SA_ESTABLISHED, ON_RESPONSE, CREATE_CHILD_SA, TASK_IKE_REKEY_CROSSED, HAS_ERROR, 0,
	 ike_rekey_refused_crossed, SA_REKEYED, REPLACED_NS, "the peer's new IKE SA takes over"},

	/*
	 *   HDR, SK {SA, Ni, KEi [, TSi, TSr]}  -->                         (RFC 9370 2.2.4)
	 *                                <--  HDR, SK {SA, Nr, KEr [, TSi, TSr],
	 *                                         N(ADDITIONAL_KEY_EXCHANGE)(link1)}
	 *   HDR, SK {KEi(1),
	 *       N(ADDITIONAL_KEY_EXCHANGE)(link1)}  -->
	 *                                <--  HDR, SK {KEr(1)
	 *                                         [, N(ADDITIONAL_KEY_EXCHANGE)(link2)]}
	 */
	{SA_ESTABLISHED, ON_REQUEST, IKE_FOLLOWUP_KE, TASK_IKE_REKEY_CROSSED, BIT(KE), 0,
	 refuse_temporarily, SA_ESTABLISHED, 0, "nor this, while one of the peer's stands by"},
	{SA_ESTABLISHED, ON_REQUEST, IKE_FOLLOWUP_KE, TASK_NONE, BIT(KE) | IKE_WAITS, 0,
	 followup_request, SA_REKEYED, REPLACED_NS, "with the last one, make the new IKE SA"},
	{SA_ESTABLISHED, ON_REQUEST, IKE_FOLLOWUP_KE, TASK_NONE, BIT(KE), 0, followup_request,
	 SA_ESTABLISHED, 0, "with the last one, make the Child SA"},
	{SA_ESTABLISHED, ON_RESPONSE, IKE_FOLLOWUP_KE, TASK_IKE_REKEY, BIT(KE), 0,
	 ike_rekey_followup, SA_REKEYED, REPLACED_NS, "with the last one, make the new IKE SA"},
	{SA_ESTABLISHED, ON_RESPONSE, IKE_FOLLOWUP_KE, TASK_IKE_REKEY_CROSSED, BIT(KE), 0,
	 ike_rekey_followup, SA_REKEYED, REPLACED_NS, "the same beside one of the peer's"},
	{SA_ESTABLISHED, ON_RESPONSE, IKE_FOLLOWUP_KE, TASK_IKE_REKEY, HAS_ERROR, 0,
	 ike_rekey_refused, SA_ESTABLISHED, 0, "try again later"},
	{SA_ESTABLISHED, ON_RESPONSE, IKE_FOLLOWUP_KE, TASK_IKE_REKEY_CROSSED, HAS_ERROR, 0,
	 ike_rekey_refused_crossed, SA_REKEYED, REPLACED_NS, "the peer's new IKE SA takes over"},
	{SA_ESTABLISHED, ON_RESPONSE, IKE_FOLLOWUP_KE, TASK_NONE, BIT(KE), 0, child_followup,
	 SA_ESTABLISHED, 0, "with the last one, ask about the Child SA"},
	{SA_ESTABLISHED, ON_RESPONSE, IKE_FOLLOWUP_KE, TASK_CHILD_NEW, HAS_ERROR, 0,
	 child_new_refused, SA_ESTABLISHED, 0, "say why, or try again"},
	{SA_ESTABLISHED, ON_RESPONSE, IKE_FOLLOWUP_KE, TASK_CHILD_REKEY, HAS_ERROR, 0,
	 child_rekey_refused, SA_ESTABLISHED, 0, "try again later, or let it go"},
	{SA_ESTABLISHED, ON_RESPONSE, IKE_FOLLOWUP_KE, TASK_CHILD_SIBLING, HAS_ERROR, 0,
	 child_sibling_refused, SA_ESTABLISHED, 0, "do without, or try again later"},
	{SA_REKEYED, ON_REQUEST, IKE_FOLLOWUP_KE, TASK_NONE, 0, ANYTHING, refuse_temporarily,
	 SA_REKEYED, 0, "nothing new on an IKE SA that was replaced"},
	{SA_DELETING, ON_REQUEST, IKE_FOLLOWUP_KE, TASK_NONE, 0, ANYTHING, refuse_temporarily,
	 SA_DELETING, 0, "nothing new on an IKE SA that is being closed"},

	/*
	 *   HDR, SK {[N(REKEY_SA),] SA, Ni,                                   (1.3.1, 1.3.3)
	 *       [KEi,] TSi, TSr}  -->
	 *                                <--  HDR, SK {SA, Nr, [KEr,] TSi, TSr}
	 */
	{SA_ESTABLISHED, ON_START, 0, TASK_CHILD_NEW, 0, 0, child_new_start, SA_ESTABLISHED, 0,
	 "offer a Child SA"},
	{SA_ESTABLISHED, ON_START, 0, TASK_CHILD_REKEY, 0, 0, child_rekey_start, SA_ESTABLISHED, 0,
	 "offer a Child SA in place of another one"},
	{SA_ESTABLISHED, ON_REQUEST, CREATE_CHILD_SA, TASK_IKE_REKEY, CHILD_OFFER | BIT(NONCE),
	 BIT(KE), refuse_temporarily, SA_ESTABLISHED, 0,
	 "no new Child SA while we re-key the IKE SA (2.25.2)"},
	{SA_ESTABLISHED, ON_REQUEST, CREATE_CHILD_SA, TASK_IKE_REKEY_CROSSED,
	 CHILD_OFFER | BIT(NONCE), BIT(KE), refuse_temporarily, SA_ESTABLISHED, 0,
	 "no new Child SA while both re-key the IKE SA"},
	{SA_ESTABLISHED, ON_REQUEST, CREATE_CHILD_SA, TASK_NONE,
	 CHILD_OFFER | BIT(NONCE) | HAS_REKEY, BIT(KE), child_rekey_request, SA_ESTABLISHED, 0,
	 "narrow, ask whether the new Child SA is welcome"},
	{SA_ESTABLISHED, ON_REQUEST, CREATE_CHILD_SA, TASK_NONE, CHILD_OFFER | BIT(NONCE), BIT(KE),
	 child_new_request, SA_ESTABLISHED, 0, "narrow, ask whether the Child SA is welcome"},
	{SA_ESTABLISHED, ON_RESPONSE, CREATE_CHILD_SA, TASK_CHILD_NEW, CHILD_OFFER | BIT(NONCE),
	 BIT(KE), child_new_response, SA_ESTABLISHED, 0, "check the choice, ask about it"},
	{SA_ESTABLISHED, ON_RESPONSE, CREATE_CHILD_SA, TASK_CHILD_NEW, HAS_ERROR, 0,
	 child_new_refused, SA_ESTABLISHED, 0, "say why, or try again"},
	{SA_ESTABLISHED, ON_RESPONSE, CREATE_CHILD_SA, TASK_CHILD_REKEY, CHILD_OFFER | BIT(NONCE),
	 BIT(KE), child_rekey_response, SA_ESTABLISHED, 0, "check the choice, ask about it"},
	{SA_ESTABLISHED, ON_RESPONSE, CREATE_CHILD_SA, TASK_CHILD_REKEY, HAS_ERROR, 0,
	 child_rekey_refused, SA_ESTABLISHED, 0, "try again later, or let it go"},
	/*
	 *   HDR, SK {N(SA_RESOURCE_INFO),                                     (RFC 9611 4)
	 *       SA, Ni, [KEi,] TSi, TSr}  -->
	 *                                <--  HDR, SK {N(SA_RESOURCE_INFO),
	 *                                         SA, Nr, [KEr,] TSi, TSr}
	 */
	{SA_ESTABLISHED, ON_START, 0, TASK_CHILD_SIBLING, 0, 0, child_sibling_start, SA_ESTABLISHED,
	 0, "offer a Child SA beside one that all workers share"},
	{SA_ESTABLISHED, ON_RESPONSE, CREATE_CHILD_SA, TASK_CHILD_SIBLING, CHILD_OFFER | BIT(NONCE),
	 BIT(KE), child_sibling_response, SA_ESTABLISHED, 0, "check that it is like that one"},
	/*
	 *                                <--  HDR, SK {N(TS_MAX_QUEUE)}           (RFC 9611 4)
	 */
	{SA_ESTABLISHED, ON_RESPONSE, CREATE_CHILD_SA, TASK_CHILD_SIBLING, HAS_ERROR, 0,
	 child_sibling_refused, SA_ESTABLISHED, 0, "do without, or try again later"},
	/* Answers: the exchange's kind says what it makes. Those of ours (out) and of the peer (in)
	 * differ in their kind, see exchange.kind. */
	{SA_ESTABLISHED, ON_ANSWER, IKE_ASK_CHILD_ACCEPT, TASK_CHILD_NEW, 0, 0, child_new_allowed_i,
	 SA_ESTABLISHED, 0, "install what we offered"},
	{SA_ESTABLISHED, ON_ANSWER, IKE_ASK_CHILD_ACCEPT, TASK_CHILD_REKEY, 0, 0,
	 child_rekey_allowed_i, SA_ESTABLISHED, 0, "install it, use it, close the old one"},
	{SA_ESTABLISHED, ON_ANSWER, IKE_ASK_CHILD_ACCEPT, TASK_CHILD_SIBLING, 0, 0,
	 child_sibling_allowed, SA_ESTABLISHED, 0, "install it for its worker"},
	{SA_ESTABLISHED, ON_ANSWER, IKE_ASK_CHILD_ACCEPT, TASK_PEER_CHILD_NEW, 0, 0,
	 child_new_allowed_r, SA_ESTABLISHED, 0, "install what was offered, and answer"},
	{SA_ESTABLISHED, ON_ANSWER, IKE_ASK_CHILD_ACCEPT, TASK_PEER_CHILD_REKEY, 0, 0,
	 child_rekey_allowed_r, SA_ESTABLISHED, 0,
	 "install it, answer, send on the old one until the new one is used"},

	/*
	 *   HDR, SK {[N,] [D,] ...}  -->                                               (1.4)
	 *                                <--  HDR, SK {[N,] [D,] ...}
	 */
	{SA_ESTABLISHED, ON_START, 0, TASK_CHILD_DELETE, 0, 0, child_delete_start, SA_ESTABLISHED,
	 0, "close Child SAs"},
	{SA_ESTABLISHED, ON_START, 0, TASK_LIVENESS, 0, 0, liveness_start, SA_ESTABLISHED, 0,
	 "is the peer alive?"},
	{SA_ESTABLISHED, ON_START, 0, TASK_IKE_DELETE, 0, 0, ike_delete_start, SA_DELETING, 0,
	 "close the IKE SA and all its children"},
	{SA_REKEYED, ON_START, 0, TASK_IKE_DELETE, 0, 0, ike_delete_start, SA_DELETING, 0,
	 "close the IKE SA that was replaced"},
	{SA_I_AUTH, ON_START, 0, TASK_TELL, 0, 0, tell_start, SA_DELETING, 0,
	 "tell the responder why its IKE_AUTH is refused (2.21.2)"},
	{SA_I_RESUMED, ON_START, 0, TASK_TELL, 0, 0, tell_start, SA_DELETING, 0,
	 "tell the responder that it is not the one whose IKE SA is resumed (2.21.2)"},
	{SA_I_EAP, ON_START, 0, TASK_TELL, 0, 0, tell_start, SA_DELETING, 0,
	 "tell the responder that its last AUTH is wrong (2.21.2)"},
	{SA_I_VERIFY, ON_START, 0, TASK_TELL, 0, 0, tell_start, SA_DELETING, 0,
	 "tell the responder that its AUTH is wrong (2.21.2)"},
	{SA_I_AUTHORIZE, ON_START, 0, TASK_TELL, 0, 0, tell_start, SA_DELETING, 0,
	 "tell the responder that it is not welcome (2.21.2)"},
	{SA_I_ACCEPT, ON_START, 0, TASK_TELL, 0, 0, tell_start, SA_DELETING, 0,
	 "tell the responder that its IKE SA is not kept (2.21.2)"},

	{SA_ESTABLISHED, ON_REQUEST, INFORMATIONAL, TASK_NONE, HAS_DELETE_IKE, ANYTHING,
	 ike_delete_request, SA_DEAD, 0, "the peer closes the IKE SA"},
	{SA_ESTABLISHED, ON_REQUEST, INFORMATIONAL, TASK_NONE, BIT(DELETE), ANYTHING,
	 child_delete_request, SA_ESTABLISHED, 0, "the peer closes Child SAs: close ours too"},
	{SA_ESTABLISHED, ON_REQUEST, INFORMATIONAL, TASK_NONE, HAS_AUTH_FAILED, ANYTHING,
	 informational_error, SA_DEAD, 0, "the peer refuses us after all (2.21.2)"},
	/*
	 *   HDR, SK {N(UPDATE_SA_ADDRESSES),                                  (RFC 4555 3.5)
	 *       N(NAT_DETECTION_SOURCE_IP), N(NAT_DETECTION_DESTINATION_IP), N(COOKIE2)}  -->
	 *                                <--  HDR, SK {N(NAT_DETECTION_SOURCE_IP),
	 *                                         N(NAT_DETECTION_DESTINATION_IP), N(COOKIE2)}
	 */
	{SA_ESTABLISHED, ON_START, 0, TASK_MOBIKE_UPDATE, 0, 0, mobike_update_start, SA_ESTABLISHED,
	 0, "tell the peer that we are elsewhere"},
	{SA_ESTABLISHED, ON_REQUEST, INFORMATIONAL, TASK_NONE, HAS_UPDATE_SA, ANYTHING,
	 mobike_update_request, SA_ESTABLISHED, 0,
	 "the peer is elsewhere: ask it there, and only then follow"},
	{SA_ESTABLISHED, ON_RESPONSE, INFORMATIONAL, TASK_MOBIKE_UPDATE, 0, ANYTHING,
	 mobike_update_response, SA_ESTABLISHED, 0, "the peer follows: move the children"},
	/*
	 *   HDR, SK {N(ADDITIONAL_IP4_ADDRESS), ...}  -->                     (RFC 4555 3.6)
	 *                                <--  HDR, SK {}
	 */
	{SA_ESTABLISHED, ON_START, 0, TASK_MOBIKE_ADDRS, 0, 0, mobike_addrs_start, SA_ESTABLISHED,
	 0, "tell the peer where else we are"},
	{SA_ESTABLISHED, ON_REQUEST, INFORMATIONAL, TASK_NONE, HAS_ADDRESSES, ANYTHING,
	 mobike_addrs_request, SA_ESTABLISHED, 0, "the peer says where else it is"},
	{SA_ESTABLISHED, ON_RESPONSE, INFORMATIONAL, TASK_MOBIKE_ADDRS, 0, ANYTHING,
	 mobike_addrs_response, SA_ESTABLISHED, 0, "the peer knows where else we are"},
	/*
	 *   HDR, SK {N(COOKIE2)}  -->                                         (RFC 4555 3.7)
	 *                                <--  HDR, SK {N(COOKIE2)}
	 */
	{SA_ESTABLISHED, ON_START, 0, TASK_MOBIKE_CHECK, 0, 0, mobike_check_start, SA_ESTABLISHED,
	 0, "does the peer answer from where it says it is?"},
	{SA_ESTABLISHED, ON_RESPONSE, INFORMATIONAL, TASK_MOBIKE_CHECK, 0, ANYTHING,
	 mobike_check_response, SA_ESTABLISHED, 0, "if it does, move the SA and its children"},

	/*
	 *   HDR, SK {N(MIF_OP), ...}  -->               (docs/multiple-interfaces.md 5)
	 *                                <--  HDR, SK {N(MIF_RESULT), ...}
	 */
	{SA_ESTABLISHED, ON_START, 0, TASK_MIF, 0, 0, mif_start, SA_ESTABLISHED, 0,
	 "say which paths there are"},
	{SA_ESTABLISHED, ON_REQUEST, INFORMATIONAL, TASK_NONE, HAS_MIF_OP, ANYTHING, mif_request,
	 SA_ESTABLISHED, 0, "do what may be done, and say what was"},
	{SA_ESTABLISHED, ON_RESPONSE, INFORMATIONAL, TASK_MIF, 0, ANYTHING, mif_response,
	 SA_ESTABLISHED, 0, "keep what the peer did, take back what it did not"},

	/*
	 *   HDR, SK {N(REDIRECT)}  -->                                           (RFC 5685 5)
	 *                                <--  HDR, SK {}
	 */
	{SA_ESTABLISHED, ON_START, 0, TASK_REDIRECT, 0, 0, redirect_start, SA_ESTABLISHED, 0,
	 "name another gateway to the peer"},
	{SA_ESTABLISHED, ON_RESPONSE, INFORMATIONAL, TASK_REDIRECT, 0, ANYTHING, redirect_response,
	 SA_ESTABLISHED, 0, "the peer has heard it"},

	{SA_ESTABLISHED, ON_REQUEST, INFORMATIONAL, TASK_NONE, 0, ANYTHING, informational_request,
	 SA_ESTABLISHED, 0, "we are alive"},
	{SA_ESTABLISHED, ON_RESPONSE, INFORMATIONAL, TASK_CHILD_DELETE, 0, ANYTHING,
	 child_delete_response, SA_ESTABLISHED, 0, "Child SAs are closed"},
	{SA_ESTABLISHED, ON_RESPONSE, INFORMATIONAL, TASK_LIVENESS, 0, ANYTHING, liveness_response,
	 SA_ESTABLISHED, 0, "the peer is alive"},

	{SA_REKEYED, ON_REQUEST, INFORMATIONAL, TASK_NONE, HAS_DELETE_IKE, ANYTHING,
	 ike_delete_request, SA_DEAD, 0, "the peer closes the IKE SA that was replaced"},
	{SA_REKEYED, ON_REQUEST, INFORMATIONAL, TASK_NONE, 0, ANYTHING, informational_request,
	 SA_REKEYED, 0, "we are alive"},
	{SA_REKEYED, ON_REQUEST, CREATE_CHILD_SA, TASK_NONE, 0, ANYTHING, refuse_temporarily,
	 SA_REKEYED, 0, "nothing new on an IKE SA that was replaced"},
	{SA_REKEYED, ON_RESPONSE, INFORMATIONAL, TASK_NONE, 0, ANYTHING, liveness_response,
	 SA_REKEYED, 0, "what was under way when the peer re-keyed"},

	{SA_DELETING, ON_REQUEST, INFORMATIONAL, TASK_NONE, HAS_DELETE_IKE, ANYTHING,
	 ike_delete_request, SA_DEAD, 0, "both close the IKE SA: forget our own request (2.25.2)"},
	{SA_DELETING, ON_REQUEST, INFORMATIONAL, TASK_NONE, 0, ANYTHING, informational_request,
	 SA_DELETING, 0, "whatever it is, it is gone soon"},
	{SA_DELETING, ON_REQUEST, CREATE_CHILD_SA, TASK_NONE, 0, ANYTHING, refuse_temporarily,
	 SA_DELETING, 0, "nothing new on an IKE SA that is being closed (2.25.2)"},
	{SA_DELETING, ON_RESPONSE, INFORMATIONAL, TASK_NONE, 0, ANYTHING, ike_delete_response,
	 SA_DEAD, 0, "the peer has closed it too"},
};

static bool fits(const struct transition *t, uint64_t have)
{
	const uint64_t payloads = ~(PAYLOAD_BIT(PAYLOAD_SA) - 1);

	return (have & t->need) == t->need && !(have & payloads & ~(t->need | t->may | ALWAYS));
}

const struct transition *transition_find(enum sa_state state, enum trigger on, uint8_t what,
					 enum task_kind task, uint64_t have)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		const struct transition *t = &table[i];

		if (t->state != state || t->on != on || (on != ON_START && t->what != what))
			continue;
		if (t->task != TASK_NONE && t->task != task)
			continue;
		if ((on == ON_REQUEST || on == ON_RESPONSE) && !fits(t, have))
			continue;
		return t;
	}
	return NULL;
}

bool transition_knows(enum sa_state state, enum trigger on, uint8_t what)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (table[i].state == state && table[i].on == on && table[i].what == what)
			return true;
	return false;
}

const struct transition *transition_table(size_t *out_num)
{
	*out_num = ARRAY_LEN(table);
	return table;
}
