/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handlers.h - what the transition table calls. Each handler is described by its row's story in
 * table.c. Errors: ERR_PEER after step_fail(); any other error drops the message unanswered (NOMEM,
 * CRYPTO; MALFORMED where the message is not authenticated). Control thread.
 */
#pragma once

#include "control/ike/step.h"

/* sa_init.c (RFC 7296 1.2, 2.6) */
MUST_USE enum err sa_init_start(struct step *s);
MUST_USE enum err sa_init_request(struct step *s);
MUST_USE enum err sa_init_response(struct step *s);
MUST_USE enum err sa_init_cookie(struct step *s);
MUST_USE enum err sa_init_invalid_ke(struct step *s);
MUST_USE enum err sa_init_refused(struct step *s);

/* puzzle.c (RFC 8019) */
MUST_USE enum err puzzle_given(struct step *s);
MUST_USE enum err puzzle_another(struct step *s);
MUST_USE enum err puzzle_cookie(struct step *s);
MUST_USE enum err puzzle_group(struct step *s);
MUST_USE enum err puzzle_solved(struct step *s);

/* intermediate.c (RFC 9242, RFC 9370 2.2.2) */
MUST_USE enum err intermediate_request(struct step *s);
MUST_USE enum err intermediate_response(struct step *s);
MUST_USE enum err intermediate_refused(struct step *s);

/* redirect.c (RFC 5685) */
MUST_USE enum err redirect_init(struct step *s);
MUST_USE enum err redirect_resume(struct step *s);
MUST_USE enum err redirect_look_up(struct step *s);
MUST_USE enum err redirect_found(struct step *s);
MUST_USE enum err redirect_start(struct step *s);
MUST_USE enum err redirect_response(struct step *s);

/* auth_i.c, auth_r.c (1.2, 2.15, 2.16) */
MUST_USE enum err auth_start(struct step *s);
MUST_USE enum err auth_response(struct step *s);
MUST_USE enum err auth_refused(struct step *s);
MUST_USE enum err auth_verify_i(struct step *s);
MUST_USE enum err auth_authorized_i(struct step *s);
MUST_USE enum err auth_accepted_i(struct step *s);
MUST_USE enum err auth_request(struct step *s);
MUST_USE enum err auth_verify_r(struct step *s);
MUST_USE enum err auth_signed_r(struct step *s);
MUST_USE enum err auth_authorized_r(struct step *s);
MUST_USE enum err auth_accepted_r(struct step *s);

/* ppk.c (RFC 8784) */
MUST_USE enum err ppk_answered_i(struct step *s);
MUST_USE enum err ppk_answered_r(struct step *s);

/* resume_i.c, resume_r.c (RFC 5723) */
MUST_USE enum err resume_begin(struct step *s);
MUST_USE enum err resume_start(struct step *s);
MUST_USE enum err resume_response(struct step *s);
MUST_USE enum err resume_prove(struct step *s);
MUST_USE enum err resume_cookie(struct step *s);
MUST_USE enum err resume_refused(struct step *s);
MUST_USE enum err resume_auth_response(struct step *s);
MUST_USE enum err resume_auth_refused(struct step *s);
MUST_USE enum err resume_request(struct step *s);
MUST_USE enum err resume_auth_request(struct step *s);
MUST_USE enum err resume_judged(struct step *s);

/* eap_i.c, eap_r.c (2.16, RFC 5998) */
MUST_USE enum err eap_server_response(struct step *s);
MUST_USE enum err eap_alone_response(struct step *s);
MUST_USE enum err eap_verify_i(struct step *s);
MUST_USE enum err eap_answer_i(struct step *s);
MUST_USE enum err eap_response_i(struct step *s);
MUST_USE enum err eap_final_i(struct step *s);
MUST_USE enum err eap_begin_r(struct step *s);
MUST_USE enum err eap_signed_r(struct step *s);
MUST_USE enum err eap_begun_r(struct step *s);
MUST_USE enum err eap_request_r(struct step *s);
MUST_USE enum err eap_answer_r(struct step *s);
MUST_USE enum err eap_final_r(struct step *s);
MUST_USE enum err eap_verify_r(struct step *s);

/* control/child/create.c (1.3.1) */
MUST_USE enum err child_new_start(struct step *s);
MUST_USE enum err child_new_request(struct step *s);
MUST_USE enum err child_new_allowed_r(struct step *s);
MUST_USE enum err child_new_response(struct step *s);
MUST_USE enum err child_new_allowed_i(struct step *s);
MUST_USE enum err child_new_refused(struct step *s);

/* control/child/sibling.c (RFC 9611) */
MUST_USE enum err child_sibling_start(struct step *s);
MUST_USE enum err child_sibling_response(struct step *s);
MUST_USE enum err child_sibling_refused(struct step *s);
MUST_USE enum err child_sibling_allowed(struct step *s);

/* control/child/rekey.c (1.3.3, 2.8) */
MUST_USE enum err child_rekey_start(struct step *s);
MUST_USE enum err child_rekey_request(struct step *s);
MUST_USE enum err child_rekey_allowed_r(struct step *s);
MUST_USE enum err child_rekey_response(struct step *s);
MUST_USE enum err child_rekey_allowed_i(struct step *s);
MUST_USE enum err child_rekey_refused(struct step *s);

/* rekey_ike.c (1.3.2, 2.8, 2.18) */
MUST_USE enum err ike_rekey_start(struct step *s);
MUST_USE enum err ike_rekey_request(struct step *s);
MUST_USE enum err ike_rekey_crossing(struct step *s);
MUST_USE enum err ike_rekey_response(struct step *s);
MUST_USE enum err ike_rekey_refused(struct step *s);
MUST_USE enum err ike_rekey_refused_crossed(struct step *s);
MUST_USE enum err ike_rekey_followup(struct step *s);
MUST_USE enum err refuse_temporarily(struct step *s);

/* followup.c, control/child/create.c (RFC 9370 2.2.4) */
MUST_USE enum err followup_request(struct step *s);
MUST_USE enum err child_followup(struct step *s);

/* delete.c, liveness.c (1.4) */
MUST_USE enum err ike_delete_start(struct step *s);
MUST_USE enum err ike_delete_request(struct step *s);
MUST_USE enum err ike_delete_response(struct step *s);
MUST_USE enum err child_delete_start(struct step *s);
MUST_USE enum err child_delete_request(struct step *s);
MUST_USE enum err child_delete_response(struct step *s);
MUST_USE enum err tell_start(struct step *s);
MUST_USE enum err informational_request(struct step *s);
MUST_USE enum err informational_error(struct step *s);
MUST_USE enum err liveness_start(struct step *s);
MUST_USE enum err liveness_response(struct step *s);

/* mif_ask.c, mif_request.c (docs/multiple-interfaces.md 5) */
MUST_USE enum err mif_start(struct step *s);
MUST_USE enum err mif_request(struct step *s);
MUST_USE enum err mif_response(struct step *s);

/* mobike_exchange.c (RFC 4555 3.5 to 3.8) */
MUST_USE enum err mobike_update_start(struct step *s);
MUST_USE enum err mobike_update_request(struct step *s);
MUST_USE enum err mobike_update_response(struct step *s);
MUST_USE enum err mobike_addrs_start(struct step *s);
MUST_USE enum err mobike_addrs_request(struct step *s);
MUST_USE enum err mobike_addrs_response(struct step *s);
MUST_USE enum err mobike_check_start(struct step *s);
MUST_USE enum err mobike_check_response(struct step *s);
