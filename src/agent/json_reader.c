/*
 * src/agent/json_reader.c
 *		Reading JSON, token by token.
 *
 * A backup manifest may have gigabytes, and a hostile one may be anything: so
 * no tree is built, memory is bounded by the longest text asked for, and there
 * is no recursion here.  Callers write down the grammar they expect.
 */
#include "json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_SIZE 65536

/* A reader with an empty buffer of a size */
static void
open_reader(JsonReader *r, size_t size, size_t max_text)
{
	memset(r, 0, sizeof(*r));
	r->max_text = max_text;
	r->line = 1;
	r->buffer_size = size;
	r->buffer = xmalloc(size);
	r->str_size = 256;
	r->str = xmalloc(r->str_size);
}

/*
 * Read from "fd": from "offset" with pread(), or with read() if that is -1.
 * More than "max_bytes" in all, or a text longer than "max_text", is an error.
 */
void
json_reader_open(JsonReader *r, int fd, off_t offset, uint64_t max_bytes, size_t max_text)
{
	open_reader(r, BUFFER_SIZE, max_text);
	r->fd = fd;
	r->offset = offset;
	r->left = max_bytes;
}

/* Read a text that is in memory, of which a copy is made. */
void
json_reader_open_text(JsonReader *r, const char *text, size_t len, size_t max_text)
{
	open_reader(r, len, max_text);
	r->fd = -1;
	r->offset = -1;
	if (len > 0)
		memcpy(r->buffer, text, len);
	r->len = len;
}

/* Free its memory, which may have held a secret.  The descriptor stays open. */
void
json_reader_close(JsonReader *r)
{
	explicit_bzero(r->buffer, r->buffer_size);
	explicit_bzero(r->str, r->str_size);
	free(r->buffer);
	free(r->str);
}

/* Record an error, the first only, and stop there. */
JsonToken
json_fail(JsonReader *r, const char *error)
{
	if (r->error == NULL)
		r->error = error;
	return JSON_ERROR;
}

/* Fill the empty buffer; false at the end of the input or after an error. */
static bool
refill(JsonReader *r)
{
	ssize_t		got;

	if (r->fd < 0)
	{
		r->pos = r->len = 0;
		return false;
	}
	do
		got = r->offset < 0 ? read(r->fd, r->buffer, BUFFER_SIZE) :
			pread(r->fd, r->buffer, BUFFER_SIZE, r->offset);
	while (got < 0 && errno == EINTR);

	r->pos = 0;
	r->len = 0;
	if (got < 0)
		json_fail(r, describe_errno(errno));
	else if ((uint64_t) got > r->left)
		json_fail(r, "it is longer than allowed");
	else
	{
		r->len = (size_t) got;
		r->left -= (uint64_t) got;
		if (r->offset >= 0)
			r->offset += got;
	}
	return r->len > 0;
}

/* The next byte, not consumed; -1 at the end or after an error. */
static int
peek(JsonReader *r)
{
	if (r->pos == r->len && (r->error != NULL || !refill(r)))
		return -1;
	return (unsigned char) r->buffer[r->pos];
}

static int
take(JsonReader *r)
{
	int			c = peek(r);

	if (c >= 0)
		r->pos++;
	return c;
}

/* Append to the token's text; false if that gets too long. */
static bool
keep(JsonReader *r, int c)
{
	if (r->str_len == r->max_text)
	{
		json_fail(r, "a text is too long");
		return false;
	}
	if (r->str_len + 1 >= r->str_size)
	{
		/* not realloc(): it may leave a copy of a secret behind */
		char	   *larger = xmalloc(r->str_size * 2);

		memcpy(larger, r->str, r->str_len);
		explicit_bzero(r->str, r->str_size);
		free(r->str);
		r->str = larger;
		r->str_size *= 2;
	}
	r->str[r->str_len++] = (char) c;
	return true;
}

/* Four hex digits, or -1. */
static int
hex4(JsonReader *r)
{
	int			value = 0;

	for (int i = 0; i < 4; i++)
	{
		int			c = take(r);

		if (c >= '0' && c <= '9')
			c -= '0';
		else if (c >= 'a' && c <= 'f')
			c -= 'a' - 10;
		else if (c >= 'A' && c <= 'F')
			c -= 'A' - 10;
		else
			return -1;
		value = value * 16 + c;
	}
	return value;
}

/* Append a code point in UTF-8. */
static bool
keep_code_point(JsonReader *r, unsigned int c)
{
	if (c < 0x80)
		return keep(r, (int) c);
	if (c < 0x800)
		return keep(r, (int) (0xc0 | c >> 6)) && keep(r, (int) (0x80 | (c & 0x3f)));
	if (c < 0x10000)
		return keep(r, (int) (0xe0 | c >> 12)) && keep(r, (int) (0x80 | (c >> 6 & 0x3f))) &&
			keep(r, (int) (0x80 | (c & 0x3f)));
	return keep(r, (int) (0xf0 | c >> 18)) && keep(r, (int) (0x80 | (c >> 12 & 0x3f))) &&
		keep(r, (int) (0x80 | (c >> 6 & 0x3f))) && keep(r, (int) (0x80 | (c & 0x3f)));
}

/* What follows \u: one or, for a surrogate pair, two escapes. */
static bool
unicode_escape(JsonReader *r)
{
	int			first = hex4(r);
	int			second;

	if (first > 0 && (first < 0xd800 || first > 0xdfff))
		return keep_code_point(r, (unsigned int) first);
	if (first >= 0xd800 && first <= 0xdbff && take(r) == '\\' && take(r) == 'u')
	{
		second = hex4(r);
		if (second >= 0xdc00 && second <= 0xdfff)
			return keep_code_point(r, 0x10000u + ((unsigned int) (first - 0xd800) << 10) +
								   (unsigned int) (second - 0xdc00));
	}
	json_fail(r, "invalid \\u escape in a string");
	return false;
}

static bool
escape(JsonReader *r)
{
	static const char from[] = "\"\\/bfnrt";
	static const char to[] = "\"\\/\b\f\n\r\t";
	int			c = take(r);
	const char *found;

	if (c == 'u')
		return unicode_escape(r);
	found = c > 0 ? strchr(from, c) : NULL;
	if (found == NULL)
	{
		json_fail(r, "invalid escape in a string");
		return false;
	}
	return keep(r, to[found - from]);
}

/* A string behind its opening quote. */
static JsonToken
string(JsonReader *r)
{
	for (;;)
	{
		int			c = take(r);

		if (c == '"')
			break;
		if (c < 0x20)
			return json_fail(r, c < 0 ? "it ends inside a string" : "control character in a string");
		if (!(c == '\\' ? escape(r) : keep(r, c)))
			return JSON_ERROR;
	}
	r->str[r->str_len] = '\0';
	for (size_t i = 0; i < r->str_len;)
	{
		int			width = utf8_character(r->str + i, r->str_len - i);

		if (width == 0)
			return json_fail(r, "a string is not valid UTF-8");
		i += (size_t) width;
	}
	return JSON_STRING;
}

/* Append digits; false if there is none. */
static bool
digits(JsonReader *r)
{
	if (peek(r) < '0' || peek(r) > '9')
		return false;
	while (peek(r) >= '0' && peek(r) <= '9')
	{
		if (!keep(r, take(r)))
			return false;
	}
	return true;
}

static JsonToken
number(JsonReader *r)
{
	bool		ok = true;

	if (peek(r) == '-')
		ok = keep(r, take(r));
	if (peek(r) == '0')
		ok = ok && keep(r, take(r));
	else
		ok = ok && digits(r);
	if (ok && peek(r) == '.')
		ok = keep(r, take(r)) && digits(r);
	if (ok && (peek(r) == 'e' || peek(r) == 'E'))
	{
		ok = keep(r, take(r));
		if (peek(r) == '+' || peek(r) == '-')
			ok = ok && keep(r, take(r));
		ok = ok && digits(r);
	}
	if (!ok || (peek(r) >= '0' && peek(r) <= '9'))
		return json_fail(r, "invalid number");
	r->str[r->str_len] = '\0';
	return JSON_NUMBER;
}

static JsonToken
word(JsonReader *r)
{
	static const struct
	{
		const char *name;
		JsonToken	token;
	}			words[] = {{"true", JSON_TRUE}, {"false", JSON_FALSE}, {"null", JSON_NULL}};

	while (peek(r) >= 'a' && peek(r) <= 'z' && r->str_len < 6)
	{
		if (!keep(r, take(r)))
			return JSON_ERROR;
	}
	r->str[r->str_len] = '\0';
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
	{
		if (strcmp(r->str, words[i].name) == 0)
			return words[i].token;
	}
	return json_fail(r, "unexpected character");
}

/* The next byte that is not white space, not consumed; -1 as peek(). */
static int
skip_space(JsonReader *r)
{
	int			c;

	while ((c = peek(r)) == ' ' || c == '\n' || c == '\t' || c == '\r')
	{
		r->pos++;
		if (c == '\n')
			r->line++;
	}
	return c;
}

/* The next token. */
JsonToken
json_next(JsonReader *r)
{
	static const char marks[] = "{}[]:,";
	static const JsonToken tokens[] = {
		JSON_OBJECT, JSON_OBJECT_END, JSON_ARRAY, JSON_ARRAY_END, JSON_COLON, JSON_COMMA
	};
	const char *mark;
	int			c;

	r->str_len = 0;
	c = r->error == NULL ? skip_space(r) : -1;
	if (c < 0)
		return r->error != NULL ? JSON_ERROR : JSON_END;
	if (c == '-' || (c >= '0' && c <= '9'))
		return number(r);
	if (c == '"')
	{
		r->pos++;
		return string(r);
	}
	mark = c == 0 ? NULL : strchr(marks, c);
	if (mark == NULL)
		return word(r);
	r->pos++;
	return tokens[mark - marks];
}

/* Take a token of one kind; else fail with "error". */
bool
json_expect(JsonReader *r, JsonToken wanted, const char *error)
{
	if (json_next(r) == wanted)
		return true;
	json_fail(r, error);
	return false;
}

/*
 * The first token of what comes next in an object or array that "end" ends,
 * its comma taken; false at the end or after an error.
 */
static bool
next_item(JsonReader *r, bool *first, JsonToken end, const char *error, JsonToken *token)
{
	*token = json_next(r);
	if (*token == end)
		return false;
	if (!*first)
	{
		if (*token != JSON_COMMA)
			json_fail(r, error);
		*token = json_next(r);
	}
	*first = false;
	return r->error == NULL;
}

/*
 * The next member of an object whose brace was taken: true with its name in
 * r->str and the colon taken; false at the end of the object or after an
 * error.  "first" is true before the first call.
 */
bool
json_member(JsonReader *r, bool *first)
{
	JsonToken	token;

	if (!next_item(r, first, JSON_OBJECT_END, "expected a comma or the end of an object", &token))
		return false;
	if (token != JSON_STRING)
		json_fail(r, "expected a member's name");
	else if (skip_space(r) == ':')
		r->pos++;
	else
		json_fail(r, "expected a colon");
	return r->error == NULL;
}

/*
 * The next element of an array whose bracket was taken, as json_member(): true
 * with its first token in "token".
 */
bool
json_any_element(JsonReader *r, bool *first, JsonToken *token)
{
	return next_item(r, first, JSON_ARRAY_END, "expected a comma or the end of an array", token);
}

/* The same for an array whose elements are of one kind. */
bool
json_element(JsonReader *r, bool *first, JsonToken wanted)
{
	JsonToken	token;

	if (!json_any_element(r, first, &token))
		return false;
	if (token != wanted)
		json_fail(r, "unexpected kind of element in an array");
	return r->error == NULL;
}

/* The end of a document, behind which nothing may follow.  Frees the reader's memory; NULL, or what is wrong with the document. */
const char *
json_finish(JsonReader *r)
{
	const char *error;

	if (r->error == NULL)
		(void) json_expect(r, JSON_END, "something follows its end");
	error = r->error;
	json_reader_close(r);
	return error;
}

/* The number just read as an unsigned integer; false if it is none. */
bool
json_unsigned(const JsonReader *r, uint64_t *value)
{
	char	   *end;

	if (r->str_len == 0 || strspn(r->str, "0123456789") != r->str_len)
		return false;
	errno = 0;
	*value = strtoull(r->str, &end, 10);
	return errno == 0;
}
