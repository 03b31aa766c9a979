/*
 * src/agent/request.c
 *		Reading the request of fetch, post and list from standard input.
 *
 * A request may hold secrets, or name the file that holds one.  So it does not
 * travel in arguments or environment, which other users can see; no message
 * repeats any part of it; and its memory is overwritten when it was used.
 */
#include "request.h"
#include "json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_REQUEST ((size_t) 8 << 20)
#define MAX_TEXT ((size_t) 4 << 20)
#define MAX_URL 8192

#define TEXT_MEMBER(name) {#name, read_text, offsetof(Request, name), 0, 0, false}
#define NUMBER_MEMBER(name, min, max) {#name, read_number, offsetof(Request, name), min, max, false}
#define LIST_MEMBER(name) {#name, read_text, offsetof(Request, name), 0, 0, true}
#define PREVIOUS_MEMBER(name) {"previous_" #name, read_text, offsetof(Request, previous.name), 0, 0, true}

typedef struct Member
{
	const char *name;
	bool		(*read) (JsonReader *r, Request *request, const struct Member *member);
	size_t		offset;
	uint64_t	min;
	uint64_t	max;
	bool		list;			/* of list only */
} Member;

static bool
read_text(JsonReader *r, Request *request, const Member *member)
{
	if (!json_expect(r, JSON_STRING, "a member that must be a string is not"))
		return false;
	*(char **) ((char *) request + member->offset) = xstrdup(r->str);
	return true;
}

static bool
read_number(JsonReader *r, Request *request, const Member *member)
{
	uint64_t	value;

	if (!json_expect(r, JSON_NUMBER, "a member that must be a number is not"))
		return false;
	if (!json_unsigned(r, &value) || value < member->min || value > member->max)
	{
		json_fail(r, "a number is out of range");
		return false;
	}
	*(uint64_t *) ((char *) request + member->offset) = value;
	return true;
}

static bool
read_flag(JsonReader *r, Request *request, const Member *member)
{
	JsonToken	token = json_next(r);

	if (token != JSON_TRUE && token != JSON_FALSE)
	{
		json_fail(r, "a member that must be true or false is not");
		return false;
	}
	*(bool *) ((char *) request + member->offset) = token == JSON_TRUE;
	return true;
}

/* A header that could change where the request goes or how it is framed is not ours to send. */
static bool
is_header_name(const char *name)
{
	static const char *const refused[] = {
		"host", "content-length", "transfer-encoding", "connection", "expect", "te", "trailer",
		"upgrade", "proxy-authorization", "proxy-connection", "accept-encoding", "content-type"
	};

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
	{
		if (strcasecmp(name, refused[i]) == 0)
			return false;
	}
	return name[0] != '\0' && name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
										  "0123456789-_.")] == '\0';
}

/* Printable, so that it cannot end the header's line. */
static bool
is_header_value(const char *value)
{
	for (; *value != '\0'; value++)
	{
		unsigned char c = (unsigned char) *value;

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static bool
read_headers(JsonReader *r, Request *request, const Member *member)
{
	bool		first = true;

	if (!json_expect(r, JSON_OBJECT, "\"headers\" is not an object"))
		return false;
	while (json_member(r, &first))
	{
		char	   *name = xstrdup(r->str);

		if (request->n_headers == MAX_HEADERS)
			json_fail(r, "there are too many headers");
		else if (!is_header_name(name))
			json_fail(r, "a header has a name that is not allowed");
		else if (json_expect(r, JSON_STRING, "a header is not a string") && !is_header_value(r->str))
			json_fail(r, "a header holds a control character");
		if (r->error == NULL)
			request->headers[request->n_headers++] = format("%s: %s", name, r->str);
		free(name);
		if (r->error != NULL)
			return false;
	}
	return r->error == NULL;
}

static const Member members[] = {
	TEXT_MEMBER(url),
	TEXT_MEMBER(url_file),
	TEXT_MEMBER(body),
	TEXT_MEMBER(content_type),
	{"headers", read_headers, 0, 0, 0, false},
	NUMBER_MEMBER(timeout_ms, 1, 24 * 3600000),
	NUMBER_MEMBER(connect_timeout_ms, 1, 3600000),
	NUMBER_MEMBER(max_bytes, 0, 4 << 20),
	TEXT_MEMBER(ca_file),
	{"allow_http", read_flag, offsetof(Request, allow_http), 0, 0, false},
	LIST_MEMBER(provider),
	LIST_MEMBER(level),
	LIST_MEMBER(secret_file),
	LIST_MEMBER(region),
	{"window_seconds", read_number, offsetof(Request, window_seconds), 0, UINT32_MAX, true},
	PREVIOUS_MEMBER(id),
	PREVIOUS_MEMBER(finished_at),
	PREVIOUS_MEMBER(etag),
	PREVIOUS_MEMBER(sha256),
	{"previous_size_bytes", read_number, offsetof(Request, previous.size_bytes), 0, INT64_MAX, true},
};

#define N_MEMBERS (sizeof(members) / sizeof(members[0]))

static void
read_members(JsonReader *r, Request *request, bool list)
{
	unsigned int seen = 0;
	bool		first = true;

	if (!json_expect(r, JSON_OBJECT, "it is not an object"))
		return;
	while (json_member(r, &first))
	{
		size_t		i = 0;

		while (i < N_MEMBERS && (strcmp(r->str, members[i].name) != 0 || (members[i].list && !list)))
			i++;
		if (i == N_MEMBERS)
			json_fail(r, "it has an unknown member");
		else if (seen & 1u << i)
			json_fail(r, "it has a member twice");
		if (r->error != NULL || !members[i].read(r, request, &members[i]))
			return;
		seen |= 1u << i;
	}
	if ((request->url == NULL) == (request->url_file == NULL))
		json_fail(r, "it must have one of \"url\" and \"url_file\"");
	if (request->content_type != NULL && !is_header_value(request->content_type))
		json_fail(r, "its content type holds a control character");
	(void) json_expect(r, JSON_END, "something follows its end");
}

/* The text of a secret file without the white space at its end, or NULL with "problem" set. */
static char *
read_secret(int fd, const char **problem)
{
	char		str[MAX_URL + 2];
	char	   *text = NULL;
	ssize_t		got = read(fd, str, sizeof(str));
	size_t		len = got > 0 ? (size_t) got : 0;

	while (len > 0 && strchr(" \t\r\n", str[len - 1]) != NULL && str[len - 1] != '\0')
		len--;
	if (got < 0)
		*problem = describe_errno(errno);
	else if (len == 0)
		*problem = "it is empty";
	else if (len > MAX_URL)
		*problem = "it is too long";
	else if (memchr(str, '\0', len) != NULL)
		*problem = "it holds a zero byte";
	else
	{
		text = xmalloc(len + 1);
		memcpy(text, str, len);
		text[len] = '\0';
	}
	explicit_bzero(str, sizeof(str));
	return text;
}

/*
 * The text in a file that holds a secret, to be overwritten by the caller; NULL
 * with the report's error set.  That file is the secret's only place, so it
 * must be ours alone.
 */
char *
read_secret_file(Report *report, const char *path, const char *what, const char *code)
{
	const char *problem = NULL;
	char	   *secret = NULL;
	struct stat st;
	int			fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) != 0)
		problem = describe_errno(errno);
	else if (!S_ISREG(st.st_mode))
		problem = "it is not a regular file";
	else if (st.st_uid != geteuid())
		problem = "it does not belong to the user who reads it";
	else if (st.st_mode & 077)
		problem = "others than its owner have rights on it";
	else
		secret = read_secret(fd, &problem);
	if (fd >= 0)
		close(fd);
	if (problem != NULL)
		report_error(report, code, format("The file with %s, \"%s\", cannot be used: %s.", what, path, problem),
					 "It must belong to the operating system user of the server and have mode 0600.");
	return secret;
}

/* Read request->url from the file that is named instead of it. */
static bool
read_url_file(Report *report, Request *request)
{
	request->url = read_secret_file(report, request->url_file, "the URL", "url_file");
	if (request->url != NULL && strchr(request->url, '\n') != NULL)
		report_error(report, "url_file", format("The file with the URL, \"%s\", cannot be used: it holds more than one line.",
												request->url_file),
					 "It must hold the URL and nothing else.");
	return report->error_code == NULL;
}

/* Read a request; false with the report's error set.  Nothing has been done yet. */
bool
read_request(Report *report, Request *request, int fd, bool list)
{
	JsonReader	r;

	memset(request, 0, sizeof(*request));
	request->timeout_ms = 30000;
	request->connect_timeout_ms = 10000;
	request->max_bytes = 1 << 20;
	json_reader_open(&r, fd, -1, MAX_REQUEST, MAX_TEXT);
	read_members(&r, request, list);
	if (r.error != NULL)
		report_error(report, "bad_request", format("The request on standard input is not valid: line %lu: %s.",
												   r.line, r.error), NULL);
	json_reader_close(&r);
	return report->error_code == NULL && (request->url_file == NULL || read_url_file(report, request));
}

static void
forget_text(char *str)
{
	if (str != NULL)
		explicit_bzero(str, strlen(str));
	free(str);
}

/* Overwrite and free all texts of a request. */
void
forget_request(Request *request)
{
	forget_text(request->url);
	forget_text(request->url_file);
	forget_text(request->body);
	forget_text(request->content_type);
	forget_text(request->ca_file);
	forget_text(request->provider);
	forget_text(request->level);
	forget_text(request->secret_file);
	forget_text(request->region);
	forget_text(request->previous.id);
	forget_text(request->previous.finished_at);
	forget_text(request->previous.etag);
	forget_text(request->previous.sha256);
	for (int i = 0; i < request->n_headers; i++)
		forget_text(request->headers[i]);
	memset(request, 0, sizeof(*request));
}
