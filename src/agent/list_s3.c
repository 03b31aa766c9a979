/*
 * src/agent/list_s3.c
 *		Provider s3: the newest object below a prefix of a bucket.
 *
 * The URL is https://HOST/BUCKET/PREFIX; the bucket is always part of the path,
 * which all stores that speak the protocol understand.
 */
#include "list.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Pages of a thousand objects that are read at most */
#define MAX_PAGES 200

#define PAGE_BYTES ((uint64_t) 4 << 20)

typedef struct S3State
{
	Signer		signer;
	const char *path;			/* of the next request, canonical */
	const char *query;
} S3State;

static void list_s3(Listing *listing);

const ListProvider s3_provider = {
	.name = "s3",
	.deep = true,
	.needs_secret = true,
	.secret = "the access key",
	.list = list_s3,
};

/* Sign anew for each try: a signature is good for some minutes. */
static void
authorize(Listing *listing, const char *method)
{
	S3State    *state = listing->provider_state;

	sigv4_sign(&state->signer, (int64_t) time(NULL), method, listing->transfer->host, state->path, state->query);
	listing->transfer->headers = (const char *const *) state->signer.headers;
}

/* The value of "name = value" in the secret file, or NULL. */
static char *
secret_value(const char *text, const char *name)
{
	for (const char *line = text; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n')
	{
		const char *at = line + strspn(line, " \t");
		size_t		len = strlen(name);
		size_t		value;

		if (strncmp(at, name, len) != 0)
			continue;
		at += len;
		at += strspn(at, " \t");
		if (*at++ != '=')
			continue;
		at += strspn(at, " \t");
		value = strcspn(at, " \t\r\n");
		return value == 0 ? NULL : format("%.*s", (int) value, at);
	}
	return NULL;
}

static bool
read_credentials(Listing *listing, Signer *signer)
{
	signer->access_key = secret_value(listing->secret, "aws_access_key_id");
	signer->secret_key = secret_value(listing->secret, "aws_secret_access_key");
	signer->token = secret_value(listing->secret, "aws_session_token");
	signer->region = listing->transfer->request.region != NULL ? listing->transfer->request.region : "us-east-1";
	if (signer->access_key != NULL && signer->secret_key != NULL)
		return true;
	report_error(listing->report, "secret_file", xstrdup("The file with the access key lacks one of its two lines."),
				 "It must hold aws_access_key_id = ... and aws_secret_access_key = ..., as ~/.aws/credentials does; aws_session_token is optional.");
	return false;
}

/* Bucket and prefix, decoded, from the URL; false with the report's error set. */
static bool
split_url(Listing *listing, char **bucket, char **prefix)
{
	const char *path = strstr(listing->transfer->request.url, "://");
	size_t		len;
	size_t		first;

	path = path == NULL ? NULL : strchr(path + strlen("://"), '/');
	len = path == NULL ? 0 : strcspn(path + 1, "?#");
	first = path == NULL ? 0 : strcspn(path + 1, "/?#");
	if (first == 0 || path[1 + len] != '\0')
	{
		report_error(listing->report, "bad_url", xstrdup("The URL does not name a bucket."),
					 "It must look like https://host/bucket/prefix.");
		return false;
	}
	*bucket = percent_decode(path + 1, first);
	*prefix = first == len ? xstrdup("") : percent_decode(path + 1 + first + 1, len - first - 1);
	return true;
}

/* One request of a path and a query, both canonical. */
static RequestEnd
request(Listing *listing, const char *method, const char *path, const char *query)
{
	S3State    *state = listing->provider_state;
	char	   *url = format("%s%s%s%s", listing->transfer->origin, path, *query == '\0' ? "" : "?", query);
	RequestEnd	end;

	state->path = path;
	state->query = query;
	end = listing_request(listing, method, url);
	free(url);
	return end;
}

/* List all objects below the prefix; false if that came to nothing, which is reported. */
static bool
list_objects(Listing *listing, const char *bucket, const char *prefix, S3Page *page)
{
	char	   *path = format("/%s", uri_encode(bucket, true));
	char	   *encoded_prefix = uri_encode(prefix, false);
	Transfer   *transfer = listing->transfer;
	int			pages = 0;
	Check	   *check;

	transfer->max_bytes = PAGE_BYTES;
	do
	{
		char	   *token = page->token == NULL ? NULL : uri_encode(page->token, false);
		char	   *query = format("%s%s%slist-type=2&prefix=%s", token == NULL ? "" : "continuation-token=",
								   token == NULL ? "" : token, token == NULL ? "" : "&", encoded_prefix);
		RequestEnd	end = request(listing, "GET", path, query);
		const char *problem;

		free(token);
		free(query);
		if (end == REQUEST_NOT_FOUND)
			check_set(report_check(listing->report, "listing"), CHECK_FAILED, "There is no bucket \"%s\".", bucket);
		else if (end == REQUEST_BROKEN_OFF)
			listing_bad_response(listing, transfer->too_large ? "it is too long" : "it broke off");
		if (end != REQUEST_DONE)
			return false;
		transfer->body = xrealloc(transfer->body, transfer->body_len + 1);
		transfer->body_size = transfer->body_len + 1;
		transfer->body[transfer->body_len] = '\0';
		problem = s3_read_page(transfer->body, transfer->body_len, page);
		if (problem != NULL)
		{
			listing_bad_response(listing, problem);
			return false;
		}
	} while (page->truncated && ++pages < MAX_PAGES);

	check = report_check(listing->report, "listing");
	if (page->newest.key == NULL)
		check_set(check, CHECK_FAILED, "There is no object below \"%s\" in bucket \"%s\".", prefix, bucket);
	else if (page->truncated)
		check_set(check, CHECK_WARNING, "There are more objects than the %" PRIu64 " that were looked at; a longer prefix would name fewer.",
				  page->objects);
	else
		check_set(check, CHECK_PASSED, "%s, the newest is \"%s\".",
				  count_of(page->objects, "object", "objects"), page->newest.key);
	return page->newest.key != NULL;
}

/* 64 hexadecimal digits of a SHA-256 in base64, or NULL for anything else, as for that of the parts of an object. */
static char *
sha256_of_base64(const char *str)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char	   *result;
	unsigned int bits = 0;
	int			n_bits = 0;
	int			n = 0;

	if (strlen(str) != 44 || str[43] != '=' || strspn(str, digits) != 43)
		return NULL;
	result = xmalloc(65);
	for (; *str != '='; str++)
	{
		bits = (bits << 6 | (unsigned int) (strchr(digits, *str) - digits)) & 0xffff;
		n_bits += 6;
		if (n_bits >= 8)
		{
			n_bits -= 8;
			n += snprintf(result + n, 3, "%02x", bits >> n_bits & 0xff);
		}
	}
	return result;
}

/* What the store says of the object itself. */
static void
judge_object(Listing *listing, const S3Object *object, const AnswerHeader *class, const AnswerHeader *restore)
{
	Check	   *check = report_check(listing->report, "object");
	int64_t		size = listing->transfer->content_length;

	if (size >= 0 && size != object->size)
		check_set(check, CHECK_FAILED, "\"%s\" has %" PRId64 " bytes, and is listed with %" PRId64 ".", object->key, size, object->size);
	else if (object->size == 0)
		check_set(check, CHECK_FAILED, "\"%s\" is empty.", object->key);
	else
		check_set(check, CHECK_PASSED, "\"%s\" is there with the size that is listed.", object->key);

	check = report_check(listing->report, "storage_class");
	if ((strncmp(class->value, "GLACIER", 7) == 0 && strcmp(class->value, "GLACIER_IR") != 0) ||
		strcmp(class->value, "DEEP_ARCHIVE") == 0)
		check_set(check, strstr(restore->value, "ongoing-request=\"false\"") != NULL ? CHECK_PASSED : CHECK_WARNING,
				  "\"%s\" is in storage class %s, from which it takes hours to be fetched.", object->key, class->value);
	else
		check_set(check, CHECK_PASSED, "\"%s\" can be read at once.", object->key);
}

static void
look_at_object(Listing *listing, const char *bucket, const S3Object *object)
{
	AnswerHeader wanted[] = {{.name = "etag"}, {.name = "x-amz-storage-class"}, {.name = "x-amz-restore"},
	{.name = "x-amz-checksum-sha256"}};
	Transfer   *transfer = listing->transfer;
	Found	   *found = &listing->found;
	char	   *path = format("/%s/%s", uri_encode(bucket, true), uri_encode(object->key, true));
	RequestEnd	end;

	found->id = xstrdup(object->key);
	found->finished_at = object->last_modified;
	found->size_bytes = object->size;
	listing->proof = "listed";
	transfer->wanted = wanted;
	transfer->n_wanted = sizeof(wanted) / sizeof(wanted[0]);
	end = request(listing, "HEAD", path, "");
	if (end == REQUEST_NOT_FOUND)
		check_set(report_check(listing->report, "object"), CHECK_FAILED, "\"%s\" is listed, but not there.", object->key);
	if (end == REQUEST_DONE)
	{
		found->etag = wanted[0].value[0] == '\0' ? NULL : xstrdup(wanted[0].value);
		listing->proof = "present";
		judge_object(listing, object, &wanted[1], &wanted[2]);
		if (listing->deep)
		{
			char	   *stated = sha256_of_base64(wanted[3].value);
			char	   *url = format("%s%s", transfer->origin, path);

			listing_contents(listing, url, stated);
			free(stated);
			free(url);
		}
	}
	transfer->wanted = NULL;
	transfer->n_wanted = 0;
	free(path);
}

static void
list_s3(Listing *listing)
{
	S3State		state = {0};
	S3Page		page = {0};
	char	   *bucket;
	char	   *prefix;

	if (!read_credentials(listing, &state.signer) || !split_url(listing, &bucket, &prefix))
		return;
	listing->provider_state = &state;
	listing->authorize = authorize;
	if (list_objects(listing, bucket, prefix, &page))
		look_at_object(listing, bucket, &page.newest);
	sigv4_forget(&state.signer);
}
