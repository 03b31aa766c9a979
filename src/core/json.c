/*
 * src/core/json.c
 *		Reading and writing JSON without a catalog.
 *
 * The server's own parser and its binary form do the reading; the writing goes
 * through text, because building the binary form piece by piece differs
 * between majors.
 */
#include "postgres.h"

#include "core/json.h"
#include "datatype/timestamp.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/numeric.h"

static void begin_value(VoxJson *json, const char *key);
static bool find_value(JsonbContainer *object, const char *key, JsonbValue *value);

/* Begin a text. */
void
voxanne_json_start(VoxJson *json)
{
	initStringInfo(&json->text);
	json->first = true;
}

/* Begin an object or an array; "bracket" is the opening one. */
void
voxanne_json_open(VoxJson *json, const char *key, char bracket)
{
	begin_value(json, key);
	appendStringInfoChar(&json->text, bracket);
	json->first = true;
}

void
voxanne_json_close(VoxJson *json, char bracket)
{
	appendStringInfoChar(&json->text, bracket);
	json->first = false;
}

/* A string, or null for NULL. */
void
voxanne_json_put_text(VoxJson *json, const char *key, const char *value)
{
	begin_value(json, key);
	if (value == NULL)
		appendStringInfoString(&json->text, "null");
	else
		escape_json(&json->text, value);
}

void
voxanne_json_put_int64(VoxJson *json, const char *key, int64 value)
{
	begin_value(json, key);
	appendStringInfo(&json->text, INT64_FORMAT, value);
}

/* A time in hours with two digits; null for a negative one. */
void
voxanne_json_put_hours(VoxJson *json, const char *key, int64 microseconds)
{
	int64		hundredths = (microseconds + USECS_PER_HOUR / 200) / (USECS_PER_HOUR / 100);

	begin_value(json, key);
	if (microseconds < 0)
		appendStringInfoString(&json->text, "null");
	else
		appendStringInfo(&json->text, INT64_FORMAT ".%02d", hundredths / 100, (int) (hundredths % 100));
}

/* A value that is JSON already; null for NULL. */
void
voxanne_json_put_raw(VoxJson *json, const char *key, const char *value)
{
	begin_value(json, key);
	appendStringInfoString(&json->text, value == NULL ? "null" : value);
}

/* An object or array as it was read; null for NULL. */
void
voxanne_json_put_container(VoxJson *json, const char *key, JsonbContainer *value)
{
	voxanne_json_put_raw(json, key, value == NULL ? NULL : JsonbToCString(NULL, value, 0));
}

/* The member "key" of an object, of whatever type, under the same key; null if there is none. */
void
voxanne_json_put_member(VoxJson *json, const char *key, JsonbContainer *object)
{
	JsonbValue	value;

	if (!find_value(object, key, &value) || value.type == jbvNull)
		voxanne_json_put_raw(json, key, NULL);
	else if (value.type == jbvString)
		voxanne_json_put_text(json, key, pnstrdup(value.val.string.val, value.val.string.len));
	else if (value.type == jbvBool)
		voxanne_json_put_raw(json, key, value.val.boolean ? "true" : "false");
	else if (value.type == jbvNumeric)
		voxanne_json_put_raw(json, key, DatumGetCString(DirectFunctionCall1(numeric_out,
																			NumericGetDatum(value.val.numeric))));
	else
		voxanne_json_put_container(json, key, value.val.binary.data);
}

/* Comma and key before a value. */
static void
begin_value(VoxJson *json, const char *key)
{
	if (!json->first)
		appendStringInfoChar(&json->text, ',');
	json->first = false;
	if (key != NULL)
	{
		escape_json(&json->text, key);
		appendStringInfoChar(&json->text, ':');
	}
}

/* The document in a text; ERROR as jsonb's input function has it. */
JsonbContainer *
voxanne_json_parse(const char *text)
{
	return &DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)))->root;
}

/* A copy of the string at "key", or NULL. */
char *
voxanne_json_text(JsonbContainer *object, const char *key)
{
	JsonbValue	value;

	if (!find_value(object, key, &value) || value.type != jbvString)
		return NULL;
	return pnstrdup(value.val.string.val, value.val.string.len);
}

/* The number at "key", rounded; false if there is none or it does not fit. */
bool
voxanne_json_int64(JsonbContainer *object, const char *key, int64 *result)
{
	JsonbValue	value;
	Datum		limit = DirectFunctionCall1(int8_numeric, Int64GetDatum(PG_INT64_MAX));
	Datum		number;

	if (!find_value(object, key, &value) || value.type != jbvNumeric)
		return false;
	number = NumericGetDatum(value.val.numeric);
	if (numeric_is_nan(value.val.numeric) || numeric_is_inf(value.val.numeric) ||
		DatumGetBool(DirectFunctionCall2(numeric_gt, DirectFunctionCall1(numeric_abs, number), limit)))
		return false;
	*result = DatumGetInt64(DirectFunctionCall1(numeric_int8, number));
	return true;
}

/* The object or array at "key", or NULL. */
JsonbContainer *
voxanne_json_child(JsonbContainer *object, const char *key)
{
	JsonbValue	value;

	if (!find_value(object, key, &value) || value.type != jbvBinary)
		return NULL;
	return value.val.binary.data;
}

/* Number of elements of an array; 0 for anything else. */
int
voxanne_json_length(JsonbContainer *array)
{
	if (array == NULL || !JsonContainerIsArray(array) || JsonContainerIsScalar(array))
		return 0;
	return JsonContainerSize(array);
}

/* The i-th element if it is an object or an array, else NULL. */
JsonbContainer *
voxanne_json_element(JsonbContainer *array, int i)
{
	JsonbValue *value = getIthJsonbValueFromContainer(array, i);

	return value != NULL && value->type == jbvBinary ? value->val.binary.data : NULL;
}

static bool
find_value(JsonbContainer *object, const char *key, JsonbValue *value)
{
	return object != NULL && JsonContainerIsObject(object) &&
		getKeyJsonValueFromContainer(object, key, strlen(key), value) != NULL;
}
