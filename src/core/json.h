/*
 * src/core/json.h
 *		Reading and writing JSON without a catalog.
 *
 * Works outside of transactions and in processes without a database.  Bytes
 * above ASCII pass through as they are, so a text keeps the encoding in which
 * it came.
 */
#ifndef VOXANNE_JSON_H
#define VOXANNE_JSON_H

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

/*
 * A writer.  Keys and values go out in the order of the calls; commas are its
 * business.  "key" is NULL inside an array and for the document itself.
 */
typedef struct VoxJson
{
	StringInfoData text;
	bool		first;			/* nothing yet in the innermost object or
								 * array */
} VoxJson;

extern void voxanne_json_start(VoxJson *json);
extern void voxanne_json_open(VoxJson *json, const char *key, char bracket);
extern void voxanne_json_close(VoxJson *json, char bracket);
extern void voxanne_json_put_text(VoxJson *json, const char *key, const char *value);
extern void voxanne_json_put_int64(VoxJson *json, const char *key, int64 value);
extern void voxanne_json_put_hours(VoxJson *json, const char *key, int64 microseconds);
extern void voxanne_json_put_raw(VoxJson *json, const char *key, const char *value);
extern void voxanne_json_put_container(VoxJson *json, const char *key, JsonbContainer *value);
extern void voxanne_json_put_member(VoxJson *json, const char *key, JsonbContainer *object);

/*
 * Reading.  "object" may be NULL or no object; what is absent or of another
 * type than asked for reads as NULL or false.
 */
extern JsonbContainer *voxanne_json_parse(const char *text);
extern char *voxanne_json_text(JsonbContainer *object, const char *key);
extern bool voxanne_json_int64(JsonbContainer *object, const char *key, int64 *value);
extern JsonbContainer *voxanne_json_child(JsonbContainer *object, const char *key);
extern int	voxanne_json_length(JsonbContainer *array);
extern JsonbContainer *voxanne_json_element(JsonbContainer *array, int i);

#endif							/* VOXANNE_JSON_H */
