/*
 * src/agent/digest.h
 *		The checksums that a manifest, or pgBackRest, states of a file.
 */
#ifndef VOXANNE_AGENT_DIGEST_H
#define VOXANNE_AGENT_DIGEST_H

#include "agent.h"

typedef enum DigestKind
{
	DIGEST_NONE,
	DIGEST_CRC32C,
	DIGEST_SHA224,
	DIGEST_SHA256,
	DIGEST_SHA384,
	DIGEST_SHA512,
	N_MANIFEST_DIGESTS,			/* no manifest states what follows */
	DIGEST_SHA1 = N_MANIFEST_DIGESTS,
	N_DIGESTS
} DigestKind;

#define MAX_DIGEST_SIZE 64

/* One in the making. */
typedef struct Digest
{
	DigestKind	kind;
	uint32_t	crc;
	struct evp_md_ctx_st *context;	/* made when first needed, used again */
} Digest;

extern void digest_load(void);
extern int	digest_kind(const char *name);
extern const char *digest_name(DigestKind kind);
extern size_t digest_size(DigestKind kind);
extern bool digest_begin(Digest *digest, DigestKind kind);
extern bool digest_add(Digest *digest, const void *data, size_t len);
extern bool digest_end(Digest *digest, unsigned char *result);
extern void digest_text(DigestKind kind, const unsigned char *result, char *text);
extern void digest_free(Digest *digest);

#endif							/* VOXANNE_AGENT_DIGEST_H */
