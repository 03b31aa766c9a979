/*
 * src/agent/fetch.c
 *		Commands fetch and post: what a URL answers, as it is.
 */
#include "http.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A part of a URL that is this long may be a token; shorter ones are words like "services" */
#define SECRET_LENGTH 8

static ExitStatus fetch(const Options *options);
static ExitStatus post(const Options *options);

static const char *const no_options[] = {NULL};

const Command fetch_command = {
	.name = "fetch",
	.summary = "GET the URL that a request on standard input names.",
	.options = no_options,
	.run = fetch,
};

const Command post_command = {
	.name = "post",
	.summary = "POST a body to the URL that a request on standard input names.",
	.options = no_options,
	.run = post,
};

/* Is a part of the URL, from "start" on and "len" long, in the body? */
static bool
is_repeated(const Transfer *transfer, const char *start, size_t len)
{
	return len > 0 && memmem(transfer->body, transfer->body_len, start, len) != NULL;
}

/*
 * Does the answer repeat a URL that is a secret, as servers do that say "cannot
 * POST /path"?  Whole path, or a part of path or query long enough to be a token.
 */
static bool
repeats_secret(const Transfer *transfer)
{
	const char *path;
	size_t		len;

	if (transfer->request.url_file == NULL || transfer->request.url == NULL || transfer->body_len == 0)
		return false;
	path = strstr(transfer->request.url, "://");
	path = path == NULL ? NULL : strchr(path + strlen("://"), '/');
	if (path == NULL || path[1] == '\0')
		return false;
	if (is_repeated(transfer, path, strlen(path)))
		return true;
	for (; *path != '\0'; path += len)
	{
		path += strspn(path, "/?&=#");
		len = strcspn(path, "/?&=#");
		if (len >= SECRET_LENGTH && is_repeated(transfer, path, len))
			return true;
	}
	return false;
}

/* Can the body be a string of JSON, as any reader takes it? */
static bool
is_text(const char *body, size_t len)
{
	for (size_t i = 0; i < len;)
	{
		int			width = utf8_character(body + i, len - i);

		if (width == 0)
			return false;
		i += (size_t) width;
	}
	return true;
}

static void
print_members(JsonWriter *w, const void *subject)
{
	const Transfer *transfer = subject;

	if (!transfer->answered)
		return;
	json_text(w, "detail", transfer->detail);
	json_integer(w, "http_status", transfer->status);
	if (transfer->retry_after > 0)
		json_integer(w, "retry_after_seconds", transfer->retry_after);
	if (!transfer->secret_body && is_text(transfer->body, transfer->body_len))
		json_bytes(w, "body", transfer->body_len > 0 ? transfer->body : "", transfer->body_len);
	else
		json_text(w, "body", NULL);
	json_integer(w, "body_bytes", (int64_t) transfer->body_len);
}

static void
print_summary(FILE *out, const void *subject)
{
	const Transfer *transfer = subject;

	if (transfer->answered)
		fprintf(out, "%s %zu bytes.\n", transfer->detail, transfer->body_len);
}

static ExitStatus
transfer_command(const Options *options, const char *command, bool is_post)
{
	static Report report;
	static Transfer transfer;
	int			result;

	report.command = command;
	report.members = print_members;
	report.summary = print_summary;
	report.subject = &transfer;
	transfer.method = is_post ? "POST" : "GET";
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		report_error(&report, "transfer", xstrdup("libcurl could not be initialized."), NULL);
	else if (read_request(&report, &transfer.request, STDIN_FILENO, false) && !is_post && transfer.request.body != NULL)
		report_error(&report, "bad_request", xstrdup("A request of fetch has no body."), NULL);
	if (report.error_code == NULL && http_prepare(&report, &transfer))
	{
		result = http_try(&transfer);
		if (result != 0)
			http_report_failure(&report, &transfer, result);
		report.failed = transfer.answered && (transfer.status < 200 || transfer.status > 299);
		transfer.secret_body = repeats_secret(&transfer);
		http_close(&transfer);
	}
	forget_request(&transfer.request);
	return report_print(&report, options->json);
}

static ExitStatus
fetch(const Options *options)
{
	return transfer_command(options, fetch_command.name, false);
}

static ExitStatus
post(const Options *options)
{
	return transfer_command(options, post_command.name, true);
}
