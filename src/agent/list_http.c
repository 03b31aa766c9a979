/*
 * src/agent/list_http.c
 *		Provider http: one object at a URL, as its server describes it.
 */
#include "list.h"

#include <stdlib.h>
#include <string.h>

static void list_http(Listing *listing);

const ListProvider http_provider = {
	.name = "http",
	.deep = true,
	.secret = "the value of the header Authorization",
	.list = list_http,
};

/* The last part of the URL's path, which is all of the URL that is shown. */
static char *
object_name(const char *url)
{
	const char *path = strstr(url, "://");
	size_t		len;
	const char *name;

	path = path == NULL ? url : path + strlen("://");
	len = strcspn(path, "?#");
	while (len > 0 && path[len - 1] == '/')
		len--;
	name = path + len;
	while (name > path && name[-1] != '/')
		name--;
	return percent_decode(name, (size_t) (path + len - name));
}

static void
authorize(Listing *listing, const char *method)
{
	listing->transfer->headers = listing->provider_state;
}

/* Where a server does not say how old the object is, nobody can say whether it is too old. */
static void
judge_description(Listing *listing)
{
	Found	   *found = &listing->found;
	Check	   *check = report_check(listing->report, "object");

	if (found->size_bytes == 0)
		check_set(check, CHECK_FAILED, "%s is empty.", found->id);
	else if (found->size_bytes < 0)
		check_set(check, CHECK_WARNING, "%s is there, but the server does not say how large it is.", found->id);
	else
		check_set(check, CHECK_PASSED, "%s is there.", found->id);
	check = report_check(listing->report, "last_modified");
	if (found->finished_at < 0)
		check_set(check, CHECK_WARNING, "The server does not say when %s was last modified, so its age is not known.", found->id);
	else
		check_set(check, CHECK_PASSED, "%s was last modified at %s.", found->id, utc_time(found->finished_at));
}

static void
list_http(Listing *listing)
{
	Transfer   *transfer = listing->transfer;
	const char *url = transfer->request.url;
	AnswerHeader wanted[] = {{.name = "etag"}};
	char	   *headers[2] = {NULL, NULL};
	RequestEnd	end;

	transfer->wanted = wanted;
	transfer->n_wanted = 1;
	if (listing->secret != NULL)
	{
		if (strpbrk(listing->secret, "\r\n") != NULL)
		{
			report_error(listing->report, "secret_file", xstrdup("The secret file holds more than one line."), NULL);
			return;
		}
		headers[0] = format("Authorization: %s", listing->secret);
		listing->provider_state = headers;
		listing->authorize = authorize;
	}
	end = listing_request(listing, "HEAD", url);
	if (end == REQUEST_DONE)
	{
		listing->found.id = object_name(url);
		listing->found.size_bytes = transfer->content_length;
		listing->found.finished_at = transfer->last_modified;
		listing->found.etag = wanted[0].value[0] == '\0' ? NULL : xstrdup(wanted[0].value);
		listing->proof = "present";
		judge_description(listing);
		if (listing->deep)
			listing_contents(listing, url, NULL);
	}
	else if (end == REQUEST_NOT_FOUND)
		check_set(report_check(listing->report, "object"), CHECK_FAILED, "There is no such object: %s", transfer->detail);
	if (headers[0] != NULL)
		explicit_bzero(headers[0], strlen(headers[0]));
	transfer->wanted = NULL;
	transfer->n_wanted = 0;
}
