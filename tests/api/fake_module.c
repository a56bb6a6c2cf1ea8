/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_module.c - a PKCS#11 module whose one token does what the PIN says: what no real one does
 * when a test wants it. It lies in slot 5, has one private key of ECDSA with the handle 01, and
 * writes down each login in the file that FAKE_MODULE_LOG names.
 *
 *   final    one more wrong PIN would lock it       crash    it dies when it is to sign
 *   locked   it is locked                           long     a signature has more bytes than room
 *   gone     it is taken away when it is to sign    wrong... the PIN is wrong
 *   exit     it ends the program when it is to sign  dies     it dies over the PIN
 *   each     the key wants the PIN each time, and the session is one for good
 */
#include <p11-kit/pkcs11.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOT 5
#define KEY  7

static char state[32];
static bool logged_in;

static bool is_state(const char *name)
{
	const char *is = getenv("FAKE_MODULE_STATE");

	return is && strcmp(is, name) == 0;
}

static CK_RV do_initialize(void *args)
{
	(void)args;
	return CKR_OK;
}

static CK_RV do_finalize(void *reserved)
{
	(void)reserved;
	return CKR_OK;
}

static CK_RV do_slots(unsigned char present, CK_SLOT_ID *list, CK_ULONG *count)
{
	(void)present;
	if (list && *count)
		list[0] = SLOT;
	*count = 1;
	return CKR_OK;
}

static CK_RV do_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
	(void)slot;
	memset(info, 0, sizeof(*info));
	info->flags = CKF_TOKEN_INITIALIZED | CKF_LOGIN_REQUIRED | CKF_USER_PIN_INITIALIZED;
	if (is_state("final"))
		info->flags |= CKF_USER_PIN_FINAL_TRY;
	if (is_state("locked"))
		info->flags |= CKF_USER_PIN_LOCKED;
	return CKR_OK;
}

static CK_RV do_open(CK_SLOT_ID slot, CK_FLAGS flags, void *ctx, CK_NOTIFY notify,
		     CK_SESSION_HANDLE *out)
{
	(void)flags;
	(void)ctx;
	(void)notify;
	*out = slot + 1;
	return CKR_OK;
}

static CK_RV do_close(CK_SESSION_HANDLE s)
{
	(void)s;
	return CKR_OK;
}

static CK_RV do_session_info(CK_SESSION_HANDLE s, CK_SESSION_INFO *info)
{
	(void)s;
	memset(info, 0, sizeof(*info));
	/* Without it each time anew, so that each login is seen. */
	info->state = is_state("each") && logged_in ? CKS_RO_USER_FUNCTIONS : CKS_RO_PUBLIC_SESSION;
	return CKR_OK;
}

static CK_RV do_login(CK_SESSION_HANDLE s, CK_USER_TYPE type, unsigned char *pin, CK_ULONG len)
{
	const char *path = getenv("FAKE_MODULE_LOG");
	FILE *log = path ? fopen(path, "a") : NULL;

	(void)s;
	(void)type;
	if (log) {
		fputc('l', log);
		fclose(log);
	}
	snprintf(state, sizeof(state), "%.*s", (int)len, (const char *)pin);
	if (strcmp(state, "dies") == 0)
		raise(SIGKILL);
	logged_in |= strncmp(state, "wrong", 5) != 0;
	return strncmp(state, "wrong", 5) == 0 ? CKR_PIN_INCORRECT : CKR_OK;
}

static bool found;

static CK_RV do_find_init(CK_SESSION_HANDLE s, CK_ATTRIBUTE *t, CK_ULONG n)
{
	(void)s;
	found = false;
	for (CK_ULONG i = 0; i < n; i++) {
		if (t[i].type == CKA_CLASS)
			found = *(CK_OBJECT_CLASS *)t[i].pValue == CKO_PRIVATE_KEY;
	}
	return CKR_OK;
}

static CK_RV do_find(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE *o, CK_ULONG max, CK_ULONG *n)
{
	(void)s;
	(void)max;
	*n = found;
	*o = found ? KEY : 0;
	return CKR_OK;
}

/* All attributes have a length that nobody has room for. */
static CK_RV do_attribute(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE *t, CK_ULONG n)
{
	(void)s;
	(void)o;
	for (CK_ULONG i = 0; i < n; i++) {
		if (t[i].type == CKA_KEY_TYPE)
			*(CK_KEY_TYPE *)t[i].pValue = CKK_RSA;
		else if (t[i].type == CKA_ALWAYS_AUTHENTICATE)
			*(CK_BBOOL *)t[i].pValue = is_state("each");
		else
			t[i].ulValueLen = CK_UNAVAILABLE_INFORMATION;
	}
	return CKR_OK;
}

static CK_RV do_sign_init(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE o)
{
	(void)s;
	(void)m;
	(void)o;
	return CKR_OK;
}

static CK_RV do_sign(CK_SESSION_HANDLE s, unsigned char *data, CK_ULONG len, unsigned char *sig,
		     CK_ULONG *sig_len)
{
	(void)s;
	(void)data;
	(void)len;
	if (strcmp(state, "crash") == 0)
		raise(SIGKILL);
	if (strcmp(state, "exit") == 0)
		exit(0);
	if (strcmp(state, "gone") == 0)
		return CKR_DEVICE_REMOVED;
	if (strcmp(state, "long") == 0) {
		*sig_len *= 2;
		return CKR_OK;
	}
	memset(sig, 0x11, 64);
	*sig_len = 64;
	return CKR_OK;
}

static CK_FUNCTION_LIST functions = {
	.version = {2, 40},
	.C_Initialize = do_initialize,
	.C_Finalize = do_finalize,
	.C_GetSlotList = do_slots,
	.C_GetTokenInfo = do_token_info,
	.C_OpenSession = do_open,
	.C_CloseSession = do_close,
	.C_GetSessionInfo = do_session_info,
	.C_Login = do_login,
	.C_FindObjectsInit = do_find_init,
	.C_FindObjects = do_find,
	.C_FindObjectsFinal = do_close,
	.C_GetAttributeValue = do_attribute,
	.C_SignInit = do_sign_init,
	.C_Sign = do_sign,
};

__attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list);
CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list)
{
	*list = &functions;
	return CKR_OK;
}
