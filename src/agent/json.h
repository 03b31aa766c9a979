/*
 * src/agent/json.h
 *		Writing and reading JSON.
 */
#ifndef VOXANNE_AGENT_JSON_H
#define VOXANNE_AGENT_JSON_H

#include "agent.h"

/*
 * A writer.  Keys and values go out in the order of the calls; commas are its
 * business.  "key" is NULL inside an array and for the document itself.
 */
typedef struct JsonWriter
{
	FILE	   *out;
	bool		first;			/* nothing yet in the innermost object or
								 * array */
} JsonWriter;

extern void json_open(JsonWriter *w, const char *key, char bracket);
extern void json_close(JsonWriter *w, char bracket);
extern void json_text(JsonWriter *w, const char *key, const char *value);
extern void json_bytes(JsonWriter *w, const char *key, const char *value, size_t len);
extern void json_integer(JsonWriter *w, const char *key, int64_t value);
extern void json_boolean(JsonWriter *w, const char *key, bool value);

/* Bytes of the valid UTF-8 character (U+0001 and up) that "str" begins with, or 0. */
extern int	utf8_character(const char *str, size_t len);

typedef enum JsonToken
{
	JSON_ERROR,					/* see error */
	JSON_END,
	JSON_OBJECT, JSON_OBJECT_END,
	JSON_ARRAY, JSON_ARRAY_END,
	JSON_COMMA,
	JSON_COLON,
	JSON_STRING,				/* str: the value, without escapes, no NUL
								 * inside */
	JSON_NUMBER,				/* str: as written */
	JSON_TRUE, JSON_FALSE, JSON_NULL
} JsonToken;

/*
 * A reader: hands out one token after the other from a descriptor, in constant
 * memory.  Strict: valid UTF-8, no control characters in strings, no NUL, the
 * number grammar of RFC 8259.  Says in which line an error is.
 */
typedef struct JsonReader
{
	int			fd;				/* -1: all is in the buffer */
	off_t		offset;			/* where to read next, or -1: fd cannot seek */
	uint64_t	left;			/* bytes that may still be read */
	size_t		max_text;		/* longest string or number */
	unsigned long line;
	const char *error;
	char	   *str;
	size_t		str_len;
	size_t		str_size;
	char	   *buffer;
	size_t		buffer_size;
	size_t		pos;
	size_t		len;
} JsonReader;

extern void json_reader_open(JsonReader *r, int fd, off_t offset, uint64_t max_bytes, size_t max_text);
extern void json_reader_open_text(JsonReader *r, const char *text, size_t len, size_t max_text);
extern void json_reader_close(JsonReader *r);
extern JsonToken json_next(JsonReader *r);
extern JsonToken json_fail(JsonReader *r, const char *error);
extern bool json_expect(JsonReader *r, JsonToken wanted, const char *error);
extern bool json_member(JsonReader *r, bool *first);
extern bool json_any_element(JsonReader *r, bool *first, JsonToken *token);
extern bool json_element(JsonReader *r, bool *first, JsonToken wanted);
extern const char *json_finish(JsonReader *r);
extern bool json_unsigned(const JsonReader *r, uint64_t *value);

/* What a member's value is, and so what it is stored as */
typedef enum JsonFieldKind
{
	FIELD_TEXT,					/* char * */
	FIELD_FLAG,					/* bool */
	FIELD_COUNT,				/* int64_t, not negative */
	FIELD_IDENTIFIER,			/* uint64_t, a number or a string of digits */
	FIELD_SECONDS,				/* int64_t since 1970, likewise */
	FIELD_TIME,					/* int64_t, of a text in UTC */
	FIELD_LSN,					/* uint64_t, of a text X/X or a number */
	FIELD_OBJECT,				/* "fields" of the same struct */
	FIELD_ARRAY					/* "element" is called with each element's
								 * first token, and takes the rest of it */
} JsonFieldKind;

/* A member of an object; a table of them ends with one whose name is NULL */
typedef struct JsonField
{
	const char *name;
	JsonFieldKind kind;
	size_t		offset;			/* in the struct */
	const struct JsonField *fields;
	void		(*element) (JsonReader *r, JsonToken token, void *base);
} JsonField;

/* in json_fields.c */
extern void json_skip(JsonReader *r, JsonToken token, int depth);
extern void json_read_fields(JsonReader *r, const JsonField *fields, void *base);

/* in utc.c */
extern int64_t parse_utc(const char *str);
extern char *utc_time(int64_t when);
extern char *length_of_time(int64_t seconds);

#endif							/* VOXANNE_AGENT_JSON_H */
