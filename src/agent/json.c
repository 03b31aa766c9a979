/*
 * src/agent/json.c
 *		Writing JSON.
 *
 * Whatever bytes come in (file names, bodies of strangers), valid UTF-8 JSON
 * goes out.  Non-ASCII characters are written as they are: the server's parser
 * rejects \u escapes beyond ASCII where the database is not in UTF-8.
 */
#include "json.h"

#include <inttypes.h>
#include <string.h>

/* Comma and key before a value. */
static void
begin_value(JsonWriter *w, const char *key)
{
	if (!w->first)
		fputc(',', w->out);
	w->first = false;
	if (key != NULL)
		fprintf(w->out, "\"%s\":", key);
}

/* Begin an object or an array; "bracket" is the opening one. */
void
json_open(JsonWriter *w, const char *key, char bracket)
{
	begin_value(w, key);
	fputc(bracket, w->out);
	w->first = true;
}

void
json_close(JsonWriter *w, char bracket)
{
	fputc(bracket, w->out);
	w->first = false;
}

/* A string, or null for NULL. */
void
json_text(JsonWriter *w, const char *key, const char *value)
{
	if (value != NULL)
		json_bytes(w, key, value, strlen(value));
	else
	{
		begin_value(w, key);
		fputs("null", w->out);
	}
}

/*
 * A string from bytes.  Bytes that are no UTF-8 appear as \xNN in its text, so
 * that nothing is lost and nothing is invalid; NUL too.
 */
void
json_bytes(JsonWriter *w, const char *key, const char *value, size_t len)
{
	begin_value(w, key);
	fputc('"', w->out);
	for (size_t i = 0; i < len;)
	{
		unsigned char c = (unsigned char) value[i];
		int			width = utf8_character(value + i, len - i);

		if (width == 0)
			fprintf(w->out, "\\\\x%02x", c);
		else if (c == '"' || c == '\\')
			fprintf(w->out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			fprintf(w->out, "\\u%04x", c);
		else
			fwrite(value + i, 1, (size_t) width, w->out);
		i += width == 0 ? 1 : (size_t) width;
	}
	fputc('"', w->out);
}

void
json_integer(JsonWriter *w, const char *key, int64_t value)
{
	begin_value(w, key);
	fprintf(w->out, "%" PRId64, value);
}

void
json_boolean(JsonWriter *w, const char *key, bool value)
{
	begin_value(w, key);
	fputs(value ? "true" : "false", w->out);
}

/*
 * Length of the valid UTF-8 character at the start of "str", at most "len"
 * bytes; 0 for NUL, for what is overlong, a surrogate, beyond U+10FFFF or cut.
 */
int
utf8_character(const char *str, size_t len)
{
	const unsigned char *s = (const unsigned char *) str;
	int			width;
	unsigned char low = 0x80;
	unsigned char high = 0xbf;

	if (len == 0 || s[0] == 0)
		return 0;
	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	width = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (len < (size_t) width)
		return 0;

	/* the second byte's range depends on the first */
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (int i = 2; i < width; i++)
	{
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	}
	return width;
}
