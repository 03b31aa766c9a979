/*
 * src/agent/sigv4.c
 *		Signing requests as AWS Signature Version 4 wants it.
 *
 * libcurl can do it, but up to 7.88 signs queries that are not sorted, keys
 * with '+' or '=' and others wrongly.  Here paths and queries are canonical
 * before they are signed and are sent as they were signed.
 */
#include "list.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SHA256_SIZE 32

/* SHA-256 of nothing: no request here has a body */
#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* Percent-encode all but unreserved characters, and '/' unless told otherwise. */
char *
uri_encode(const char *str, bool keep_slash)
{
	static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	char	   *result = xmalloc(strlen(str) * 3 + 1);
	char	   *out = result;

	for (; *str != '\0'; str++)
	{
		if (strchr(unreserved, *str) != NULL || (*str == '/' && keep_slash))
			*out++ = *str;
		else
			out += sprintf(out, "%%%02X", (unsigned char) *str);
	}
	*out = '\0';
	return result;
}

static void
hmac(const void *key, size_t key_len, const char *data, unsigned char *result)
{
	if (HMAC(EVP_sha256(), key, (int) key_len, (const unsigned char *) data, strlen(data), result, NULL) == NULL)
		abort();
}

static void
hex(const unsigned char *bytes, char *result)
{
	for (int i = 0; i < SHA256_SIZE; i++)
		sprintf(result + 2 * i, "%02x", bytes[i]);
}

/* The key of one day, region and service. */
static void
signing_key(const Signer *signer, const char *date, unsigned char *key)
{
	char	   *secret = format("AWS4%s", signer->secret_key);

	hmac(secret, strlen(secret), date, key);
	hmac(key, SHA256_SIZE, signer->region, key);
	hmac(key, SHA256_SIZE, "s3", key);
	hmac(key, SHA256_SIZE, "aws4_request", key);
	explicit_bzero(secret, strlen(secret));
	free(secret);
}

/* Overwrite and free the headers of the last request. */
static void
forget_headers(Signer *signer)
{
	for (int i = 0; signer->headers[i] != NULL; i++)
	{
		explicit_bzero(signer->headers[i], strlen(signer->headers[i]));
		free(signer->headers[i]);
		signer->headers[i] = NULL;
	}
}

/* Overwrite and free all that is secret. */
void
sigv4_forget(Signer *signer)
{
	char	   *secrets[] = {signer->access_key, signer->secret_key, signer->token};

	forget_headers(signer);
	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
	{
		if (secrets[i] != NULL)
			explicit_bzero(secrets[i], strlen(secrets[i]));
		free(secrets[i]);
	}
	signer->access_key = signer->secret_key = signer->token = NULL;
}

/*
 * Set the headers for a request without a body.  Path and query are canonical:
 * encoded with uri_encode(), the query's parameters sorted.
 */
void
sigv4_sign(Signer *signer, int64_t now, const char *method, const char *host,
		   const char *path, const char *query)
{
	time_t		seconds = (time_t) now;
	struct tm	tm;
	char		stamp[32];
	char		date[16];
	char		digest[2 * SHA256_SIZE + 1];
	unsigned char bytes[EVP_MAX_MD_SIZE];
	unsigned char key[SHA256_SIZE];
	const char *names = signer->token == NULL ? "host;x-amz-checksum-mode;x-amz-content-sha256;x-amz-date" :
		"host;x-amz-checksum-mode;x-amz-content-sha256;x-amz-date;x-amz-security-token";
	char	   *token = signer->token == NULL ? xstrdup("") : format("x-amz-security-token:%s\n", signer->token);
	char	   *canonical;
	char	   *to_sign;
	int			n = 0;

	if (gmtime_r(&seconds, &tm) == NULL)
		abort();
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
	strftime(date, sizeof(date), "%Y%m%d", &tm);
	canonical = format("%s\n%s\n%s\nhost:%s\nx-amz-checksum-mode:ENABLED\nx-amz-content-sha256:%s\nx-amz-date:%s\n%s\n%s\n%s",
					   method, path, query, host, EMPTY_HASH, stamp, token, names, EMPTY_HASH);
	if (EVP_Digest(canonical, strlen(canonical), bytes, NULL, EVP_sha256(), NULL) != 1)
		abort();
	hex(bytes, digest);
	to_sign = format("AWS4-HMAC-SHA256\n%s\n%s/%s/s3/aws4_request\n%s", stamp, date, signer->region, digest);
	signing_key(signer, date, key);
	hmac(key, sizeof(key), to_sign, bytes);
	hex(bytes, digest);

	forget_headers(signer);
	signer->headers[n++] = format("Authorization: AWS4-HMAC-SHA256 Credential=%s/%s/%s/s3/aws4_request, SignedHeaders=%s, Signature=%s",
								  signer->access_key, date, signer->region, names, digest);
	signer->headers[n++] = xstrdup("x-amz-checksum-mode: ENABLED");
	signer->headers[n++] = xstrdup("x-amz-content-sha256: " EMPTY_HASH);
	signer->headers[n++] = format("x-amz-date: %s", stamp);
	if (signer->token != NULL)
		signer->headers[n++] = format("x-amz-security-token: %s", signer->token);
	signer->headers[n] = NULL;
	explicit_bzero(key, sizeof(key));
	explicit_bzero(token, strlen(token));
	free(token);
	free(canonical);
	free(to_sign);
}
