/*
 * src/agent/json_fields.c
 *		Reading JSON objects by tables of the members that matter.
 *
 * For documents of tools whose versions add members: what no table names is
 * passed over, to a bounded depth, null counts as absent, and a member that is
 * named but of another type is an error, as the document then means something
 * else than we think.
 */
#include "json.h"
#include "history.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 16

/* Pass over the value whose first token was taken; "depth" of it in what is passed over, 0 for a caller elsewhere. */
void
json_skip(JsonReader *r, JsonToken token, int depth)
{
	bool		first = true;

	if (depth > MAX_DEPTH)
		json_fail(r, "it is nested too deeply");
	else if (token == JSON_OBJECT)
	{
		while (json_member(r, &first))
			json_skip(r, json_next(r), depth + 1);
	}
	else if (token == JSON_ARRAY)
	{
		while (json_any_element(r, &first, &token))
			json_skip(r, token, depth + 1);
	}
	else if (token != JSON_STRING && token != JSON_NUMBER && token != JSON_TRUE && token != JSON_FALSE && token != JSON_NULL)
		json_fail(r, "a value is missing");
}

/* Seconds since 1970: a number, or a string of digits. */
static bool
take_seconds(JsonReader *r, JsonToken token, int64_t *value)
{
	uint64_t	number;

	if ((token != JSON_NUMBER && token != JSON_STRING) || !json_unsigned(r, &number) || number >= UINT64_C(1) << 40)
		return false;
	*value = (int64_t) number;
	return true;
}

/* A position in WAL: a string X/X, or a number. */
static bool
take_lsn(JsonReader *r, JsonToken token, uint64_t *value)
{
	const char *rest = "";

	if (token == JSON_NUMBER)
		return json_unsigned(r, value);
	return token == JSON_STRING && parse_lsn(r->str, &rest, value) && *rest == '\0';
}

/* Store a value whose first token was taken; false if it is not what the field says. */
static bool
take_field(JsonReader *r, const JsonField *field, JsonToken token, void *base)
{
	void	   *place = (char *) base + field->offset;
	uint64_t	number;
	bool		first = true;

	switch (field->kind)
	{
		case FIELD_TEXT:
			if (token == JSON_STRING)
				*(char **) place = xstrdup(r->str);
			return token == JSON_STRING;
		case FIELD_FLAG:
			*(bool *) place = token == JSON_TRUE;
			return token == JSON_TRUE || token == JSON_FALSE;
		case FIELD_COUNT:
			if (token != JSON_NUMBER || !json_unsigned(r, &number) || number > INT64_MAX)
				return false;
			*(int64_t *) place = (int64_t) number;
			return true;
		case FIELD_IDENTIFIER:
			return (token == JSON_NUMBER || token == JSON_STRING) && json_unsigned(r, place);
		case FIELD_SECONDS:
			return take_seconds(r, token, place);
		case FIELD_TIME:
			return token == JSON_STRING && (*(int64_t *) place = parse_utc(r->str)) >= 0;
		case FIELD_LSN:
			return take_lsn(r, token, place);
		case FIELD_OBJECT:
			if (token == JSON_OBJECT)
				json_read_fields(r, field->fields, base);
			return token == JSON_OBJECT;
		case FIELD_ARRAY:
			if (token != JSON_ARRAY)
				return false;
			while (json_any_element(r, &first, &token))
				field->element(r, token, base);
			return true;
	}
	return false;
}

/*
 * Read the members of an object whose brace was taken into a struct.  What is
 * absent or null leaves the struct as it is.
 */
void
json_read_fields(JsonReader *r, const JsonField *fields, void *base)
{
	bool		first = true;

	while (json_member(r, &first))
	{
		const JsonField *field = fields;
		JsonToken	token;

		while (field->name != NULL && strcmp(field->name, r->str) != 0)
			field++;
		token = json_next(r);
		if (field->name == NULL)
			json_skip(r, token, 0);
		else if (token != JSON_NULL && !take_field(r, field, token, base))
			json_fail(r, format("\"%s\" is not what it should be", field->name));
	}
}
