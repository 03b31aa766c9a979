/*
 * src/agent/digest.c
 *		The checksums that a manifest, or pgBackRest, states of a file.
 *
 * SHA comes from OpenSSL, which uses the processor's instructions for it.  What
 * OpenSSL loads when it is first asked cannot be opened inside the sandbox, so
 * digest_load() asks before that.
 */
#include "digest.h"
#include "crc32c.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

static struct
{
	const char *name;
	size_t		size;			/* bytes */
	const char *openssl;		/* its name there, or NULL */
	EVP_MD	   *md;
}			kinds[N_DIGESTS] = {
	[DIGEST_NONE] = {"NONE", 0, NULL, NULL},
	[DIGEST_CRC32C] = {"CRC32C", 4, NULL, NULL},
	[DIGEST_SHA224] = {"SHA224", 28, "SHA224", NULL},
	[DIGEST_SHA256] = {"SHA256", 32, "SHA256", NULL},
	[DIGEST_SHA384] = {"SHA384", 48, "SHA384", NULL},
	[DIGEST_SHA512] = {"SHA512", 64, "SHA512", NULL},
	[DIGEST_SHA1] = {"SHA1", 20, "SHA1", NULL},
};

/* Comes before everything else here, before the sandbox and before any thread. */
void
digest_load(void)
{
	crc32c_init();
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	for (int i = 0; i < N_DIGESTS; i++)
	{
		if (kinds[i].openssl != NULL && kinds[i].md == NULL)
			kinds[i].md = EVP_MD_fetch(NULL, kinds[i].openssl, NULL);
	}
}

/* The kind that manifests call so, in any case; -1 if there is none. */
int
digest_kind(const char *name)
{
	for (int i = 0; i < N_MANIFEST_DIGESTS; i++)
	{
		if (strcasecmp(name, kinds[i].name) == 0)
			return i;
	}
	return -1;
}

const char *
digest_name(DigestKind kind)
{
	return kinds[kind].name;
}

/* Bytes of a result */
size_t
digest_size(DigestKind kind)
{
	return kinds[kind].size;
}

/* False, here and below, if the library refuses; a zeroed Digest may be begun. */
bool
digest_begin(Digest *digest, DigestKind kind)
{
	digest->kind = kind;
	digest->crc = CRC32C_INIT;
	if (kinds[kind].openssl == NULL)
		return true;
	if (digest->context == NULL)
		digest->context = EVP_MD_CTX_new();
	return digest->context != NULL && kinds[kind].md != NULL &&
		EVP_DigestInit_ex(digest->context, kinds[kind].md, NULL) == 1;
}

bool
digest_add(Digest *digest, const void *data, size_t len)
{
	if (kinds[digest->kind].openssl != NULL)
		return EVP_DigestUpdate(digest->context, data, len) == 1;
	if (digest->kind == DIGEST_CRC32C)
		digest->crc = crc32c_add(digest->crc, data, len);
	return true;
}

/* "result" has room for MAX_DIGEST_SIZE bytes. */
bool
digest_end(Digest *digest, unsigned char *result)
{
	if (kinds[digest->kind].openssl != NULL)
		return EVP_DigestFinal_ex(digest->context, result, NULL) == 1;
	if (digest->kind == DIGEST_CRC32C)
	{
		/* a manifest shows the bytes as they lie in memory */
		digest->crc = crc32c_end(digest->crc);
		memcpy(result, &digest->crc, sizeof(digest->crc));
	}
	return true;
}

/* A result in hexadecimal; "text" has room for 2 * MAX_DIGEST_SIZE + 1 bytes. */
void
digest_text(DigestKind kind, const unsigned char *result, char *text)
{
	for (size_t i = 0; i < kinds[kind].size; i++)
		snprintf(text + 2 * i, 3, "%02x", result[i]);
}

void
digest_free(Digest *digest)
{
	EVP_MD_CTX_free(digest->context);
	digest->context = NULL;
}
