/*
 * src/agent/list.c
 *		Command list: the newest backup that somebody else keeps.
 *
 * The peer is a stranger: what it says is a claim, which is why proofs here are
 * modest, and every answer is bounded in size and time.  That it cannot be
 * reached for a moment says nothing about a backup, so it is a warning of its
 * own and never a failed check of the backup.
 */
#include "list.h"
#include "digest.h"
#include "program.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_TRIES 3

/* Longest pause before another try, in milliseconds; a peer may want a shorter or longer one */
#define MAX_PAUSE 10000

/* So much may the clocks of two machines differ before it is said; seconds */
#define CLOCK_SLACK 60

static ExitStatus list(const Options *options);

static const char *const no_options[] = {NULL};

const Command list_command = {
	.name = "list",
	.summary = "Find the newest backup that a request on standard input names: http, s3, supabase.",
	.options = no_options,
	.run = list,
};

static const ListProvider *const providers[] = {
	&http_provider,
	&s3_provider,
	&supabase_provider,
};

/* Answers that say nothing about the backup; others with 4xx and 5xx are "bad_response". */
static const struct
{
	long		status;
	const char *code;
	const char *hint;
}			refusals[] = {
	{401, "auth", "See what the secret file holds, and whether it is still valid."},
	{402, "entitlement", "The account does not include what is asked for."},
	{403, "auth", "See what the secret file holds, and what its owner may read."},
};

/* A text without its %XX; what is no such escape stays. */
char *
percent_decode(const char *str, size_t len)
{
	char	   *result = xmalloc(len + 1);
	char	   *out = result;

	for (size_t i = 0; i < len; i++)
	{
		unsigned int byte = 0;

		if (str[i] == '%' && i + 2 < len && strspn(str + i + 1, "0123456789abcdefABCDEF") >= 2 &&
			sscanf(str + i + 1, "%2x", &byte) == 1 && byte != 0)
		{
			*out++ = (char) byte;
			i += 2;
		}
		else
			*out++ = str[i];
	}
	*out = '\0';
	return result;
}

/* An answer that cannot be what was asked for. */
void
listing_bad_response(Listing *listing, const char *problem)
{
	report_error(listing->report, "bad_response",
				 format("The answer of %s cannot be understood: %s.", listing->transfer->origin, problem), NULL);
}

/* Wait before another try, as long as the peer wants or twice as long as before; false if there is no time left. */
static bool
wait_for_retry(const Listing *listing, int try)
{
	int64_t		pause = listing->transfer->retry_after > 0 ? (int64_t) listing->transfer->retry_after * 1000 : INT64_C(250) << try;
	struct timespec length;

	if (try + 1 == MAX_TRIES || pause > MAX_PAUSE || monotonic_ms() + pause >= listing->deadline)
		return false;
	length.tv_sec = (time_t) (pause / 1000);
	length.tv_nsec = (long) (pause % 1000) * 1000000L;
	while (nanosleep(&length, &length) != 0)
		;
	return true;
}

/* Is it worth another try? */
static bool
is_passing(const Transfer *transfer, int result)
{
	const char *code;

	if (result == 0)
		return transfer->status == 429 || transfer->status >= 500;
	code = http_failure(transfer, result);
	return strcmp(code, "dns") == 0 || strcmp(code, "connect") == 0 || strcmp(code, "timeout") == 0 || strcmp(code, "transfer") == 0;
}

/* What could not be looked at is neither good nor bad. */
static void
report_unreachable(Listing *listing, int result)
{
	Report		scratch = {0};
	Check	   *check = report_check(listing->report, "unreachable");

	if (result == 0)
		check_set(check, CHECK_WARNING, "%s", listing->transfer->detail);
	else
	{
		http_report_failure(&scratch, listing->transfer, result);
		check_set(check, CHECK_WARNING, "%s", scratch.error_message);
	}
}

/* There was an answer: is it one to go on with? */
static RequestEnd
judge_status(Listing *listing)
{
	const Transfer *transfer = listing->transfer;

	if (transfer->status >= 200 && transfer->status <= 299)
		return REQUEST_DONE;
	if (transfer->status == 404 || transfer->status == 410)
		return REQUEST_NOT_FOUND;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
	{
		if (refusals[i].status == transfer->status)
			report_error(listing->report, refusals[i].code, xstrdup(transfer->detail), refusals[i].hint);
	}
	if (transfer->status >= 300 && transfer->status <= 399)
		report_error(listing->report, "redirected", xstrdup(transfer->detail), "Name the URL to which it leads.");
	report_error(listing->report, "bad_response", xstrdup(transfer->detail), NULL);
	return REQUEST_FAILED;
}

/*
 * One request, tried again a few times if that may help.  REQUEST_NOT_FOUND and
 * REQUEST_BROKEN_OFF are for the caller to report.
 */
RequestEnd
listing_request(Listing *listing, const char *method, const char *url)
{
	Transfer   *transfer = listing->transfer;
	int			result = 0;

	for (int try = 0; try < MAX_TRIES; try++)
	{
		int64_t		left = listing->deadline - monotonic_ms();

		transfer->method = method;
		transfer->url = url;
		transfer->timeout_ms = (uint64_t) (left > 1 ? left : 1);
		if (listing->authorize != NULL)
			listing->authorize(listing, method);
		result = http_try(transfer);
		if (!is_passing(transfer, result) || transfer->taken > 0 || !wait_for_retry(listing, try))
			break;
	}
	if (result == 0 && !is_passing(transfer, 0))
		return judge_status(listing);
	if (result != 0 && (transfer->taken > 0 || transfer->too_large))
		return REQUEST_BROKEN_OFF;
	if (is_passing(transfer, result))
		report_unreachable(listing, result);
	else
		http_report_failure(listing->report, transfer, result);
	return REQUEST_FAILED;
}

static void
add_to_digest(void *arg, const char *data, size_t len)
{
	(void) digest_add(arg, data, len);
}

/* Was it the same object the last time, as far as the peer says? */
static bool
is_previous(const Listing *listing)
{
	const Previous *previous = &listing->transfer->request.previous;
	const Found *found = &listing->found;
	char	   *finished_at = utc_time(found->finished_at);
	bool		same = previous->id != NULL && previous->sha256 != NULL && found->id != NULL && finished_at != NULL &&
		strcmp(previous->id, found->id) == 0 &&
		previous->finished_at != NULL && strcmp(previous->finished_at, finished_at) == 0 &&
		previous->size_bytes == (uint64_t) found->size_bytes &&
		(previous->etag == NULL || found->etag == NULL || strcmp(previous->etag, found->etag) == 0);

	free(finished_at);
	return same;
}

/* Compare what was read with what is known of it. */
static void
judge_digest(Listing *listing, const char *stated_sha256)
{
	Check	   *check = report_check(listing->report, "digest");
	const Found *found = &listing->found;

	if (stated_sha256 != NULL && strcmp(stated_sha256, found->sha256) != 0)
		check_set(check, CHECK_FAILED, "The contents have SHA-256 %s, not %s as the store states.", found->sha256, stated_sha256);
	else if (is_previous(listing) && strcmp(listing->transfer->request.previous.sha256, found->sha256) != 0)
		check_set(check, CHECK_FAILED, "The contents have SHA-256 %s, not %s as when the same object was read before.",
				  found->sha256, listing->transfer->request.previous.sha256);
	else if (stated_sha256 != NULL || is_previous(listing))
	{
		check_set(check, CHECK_PASSED, "The contents have the SHA-256 that %s: %s.",
				  stated_sha256 != NULL ? "the store states" : "they had before", found->sha256);
		listing->proof = "checksummed";
	}
	else
		check_set(check, CHECK_PASSED, "The contents have SHA-256 %s, to be compared the next time.", found->sha256);
}

/*
 * Read all of the object that was found and check it: whether it has the length
 * that it is said to have, and the digest that the store states (NULL: none) or
 * that it had before.
 */
void
listing_contents(Listing *listing, const char *url, const char *stated_sha256)
{
	Transfer   *transfer = listing->transfer;
	Found	   *found = &listing->found;
	Digest		digest = {0};
	unsigned char result[MAX_DIGEST_SIZE];
	Check	   *check;
	RequestEnd	end;

	transfer->sink = add_to_digest;
	transfer->sink_arg = &digest;
	transfer->max_bytes = found->size_bytes >= 0 ? (uint64_t) found->size_bytes : UINT64_MAX;
	if (!digest_begin(&digest, DIGEST_SHA256))
	{
		report_error(listing->report, "digest", xstrdup("libcrypto has no SHA-256."), NULL);
		return;
	}
	end = listing_request(listing, "GET", url);
	transfer->sink = NULL;
	if (end == REQUEST_FAILED)
		return;
	check = report_check(listing->report, "contents");
	if (end == REQUEST_NOT_FOUND)
		check_set(check, CHECK_FAILED, "%s was there a moment ago and is gone.", found->id);
	else if (end == REQUEST_BROKEN_OFF && transfer->too_large)
		check_set(check, CHECK_FAILED, "%s is longer than the %" PRId64 " bytes it is said to have.", found->id, found->size_bytes);
	else if (end == REQUEST_BROKEN_OFF || (found->size_bytes >= 0 && transfer->taken != (uint64_t) found->size_bytes))
		check_set(check, CHECK_FAILED, "%s ended after %" PRIu64 " bytes%s.", found->id, transfer->taken,
				  found->size_bytes < 0 ? "" : format(" of %" PRId64, found->size_bytes));
	else
	{
		check_set(check, CHECK_PASSED, "All %" PRIu64 " bytes were read.", transfer->taken);
		found->size_bytes = (int64_t) transfer->taken;
		if (digest_end(&digest, result))
		{
			found->sha256 = xmalloc(65);
			for (int i = 0; i < 32; i++)
				snprintf(found->sha256 + 2 * i, 3, "%02x", result[i]);
			judge_digest(listing, stated_sha256);
		}
	}
	digest_free(&digest);
}

/* Check clock_skew: a backup from the future would count as new until then. */
static void
check_clock(Listing *listing)
{
	const Found *found = &listing->found;
	Check	   *check;

	if (found->id == NULL || found->finished_at < 0)
		return;
	check = report_check(listing->report, "clock_skew");
	if (found->finished_at > time(NULL) + CLOCK_SLACK)
		check_set(check, CHECK_WARNING, "%s is of %s, which is in the future: the clocks differ.", found->id, utc_time(found->finished_at));
	else
		check_set(check, CHECK_PASSED, "%s is of %s.", found->id, utc_time(found->finished_at));
}

static void
print_members(JsonWriter *w, const void *subject)
{
	const Listing *listing = subject;
	const Found *found = &listing->found;

	json_text(w, "provider", listing->transfer->request.provider);
	json_text(w, "level", listing->deep ? "verify" : "status");
	if (listing->proof != NULL)
		json_text(w, "proof", listing->proof);
	if (found->id != NULL)
	{
		json_open(w, "backup", '{');
		json_text(w, "id", found->id);
		json_text(w, "finished_at", utc_time(found->finished_at));
		if (found->size_bytes >= 0)
			json_integer(w, "size_bytes", found->size_bytes);
		if (found->etag != NULL)
			json_text(w, "etag", found->etag);
		if (found->sha256 != NULL)
			json_text(w, "sha256", found->sha256);
		json_close(w, '}');
	}
	if (listing->window_to >= 0)
	{
		json_open(w, "recovery_window", '{');
		json_text(w, "from", utc_time(listing->window_from));
		json_text(w, "to", utc_time(listing->window_to));
		json_close(w, '}');
	}
}

static void
print_summary(FILE *out, const void *subject)
{
	const Found *found = &((const Listing *) subject)->found;
	char	   *finished_at = utc_time(found->finished_at);

	if (found->id != NULL)
	{
		char	   *size = found->size_bytes < 0 ? xstrdup("of unknown size") : format("%" PRId64 " bytes", found->size_bytes);

		fprintf(out, "newest backup of %s, %s\n", finished_at != NULL ? finished_at : "unknown time", size);
		free(size);
	}
	free(finished_at);
}

static const ListProvider *
find_provider(Report *report, const Request *request)
{
	const ListProvider *found = NULL;
	bool		deep = request->level != NULL && strcmp(request->level, "verify") == 0;

	for (size_t i = 0; i < sizeof(providers) / sizeof(providers[0]); i++)
	{
		if (request->provider != NULL && strcmp(providers[i]->name, request->provider) == 0)
			found = providers[i];
	}
	if (found == NULL)
		report_error(report, "bad_request", xstrdup("The request names no provider: http, s3 or supabase."), NULL);
	else if (request->url == NULL || request->url_file != NULL || request->body != NULL || request->content_type != NULL)
		report_error(report, "bad_request", xstrdup("A request of list has a url, and no url_file, body or content_type."), NULL);
	else if (request->level != NULL && strcmp(request->level, "status") != 0 && !(deep && found->deep))
		report_error(report, "bad_request", format("Provider %s has no such level.", found->name), NULL);
	else if (found->needs_secret && request->secret_file == NULL)
		report_error(report, "auth", format("Provider %s needs %s, and the request names no file that holds it.",
											found->name, found->secret), NULL);
	return report->error_code == NULL ? found : NULL;
}

static ExitStatus
list(const Options *options)
{
	static Report report;
	static Transfer transfer;
	static Listing listing;
	const ListProvider *provider;

	report.command = list_command.name;
	report.members = print_members;
	report.summary = print_summary;
	report.subject = &listing;
	listing.report = &report;
	listing.transfer = &transfer;
	listing.found.finished_at = listing.found.size_bytes = listing.window_from = listing.window_to = -1;
	digest_load();
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		report_error(&report, "transfer", xstrdup("libcurl could not be initialized."), NULL);
	if (report.error_code == NULL && read_request(&report, &transfer.request, STDIN_FILENO, true) &&
		(provider = find_provider(&report, &transfer.request)) != NULL)
	{
		listing.deep = transfer.request.level != NULL && strcmp(transfer.request.level, "verify") == 0;
		listing.deadline = monotonic_ms() + (int64_t) transfer.request.timeout_ms;
		if (transfer.request.secret_file != NULL)
			listing.secret = read_secret_file(&report, transfer.request.secret_file, provider->secret, "secret_file");
		if (report.error_code == NULL && http_prepare(&report, &transfer))
		{
			provider->list(&listing);
			check_clock(&listing);
		}
		http_close(&transfer);
	}
	if (listing.secret != NULL)
		explicit_bzero(listing.secret, strlen(listing.secret));
	return report_print(&report, options->json);
}
