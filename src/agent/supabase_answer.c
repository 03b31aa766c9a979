/*
 * src/agent/supabase_answer.c
 *		Reading what the Management API of Supabase says of a project's backups.
 *
 * Fields come and go with its versions, so what is not known is passed over, to
 * a bounded depth, and what is missing reads as not stated.
 */
#include "list.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TEXT ((size_t) 4096)

/* A time in seconds, as a number or null. */
static int64_t
read_seconds(JsonReader *r)
{
	JsonToken	token = json_next(r);
	uint64_t	value;

	if (token == JSON_NUMBER && json_unsigned(r, &value) && value < INT64_C(1) << 40)
		return (int64_t) value;
	if (token != JSON_NULL)
		json_fail(r, "a time is not a number of seconds");
	return -1;
}

static void
read_window(JsonReader *r, ProjectBackups *backups)
{
	JsonToken	token = json_next(r);
	bool		first = true;

	if (token != JSON_OBJECT)
	{
		if (token != JSON_NULL)
			json_fail(r, "physical_backup_data is not an object");
		return;
	}
	while (json_member(r, &first))
	{
		if (strcmp(r->str, "earliest_physical_backup_date_unix") == 0)
			backups->earliest = read_seconds(r);
		else if (strcmp(r->str, "latest_physical_backup_date_unix") == 0)
			backups->latest = read_seconds(r);
		else
			json_skip(r, json_next(r), 0);
	}
}

/* One backup, whose bracket was taken. */
static void
read_backup(JsonReader *r, ProjectBackups *backups)
{
	bool		first = true;
	char	   *id = NULL;
	char	   *status = NULL;
	int64_t		at = -1;

	while (json_member(r, &first))
	{
		char	   *name = xstrdup(r->str);
		JsonToken	token = json_next(r);

		if (strcmp(name, "id") == 0 && (token == JSON_NUMBER || token == JSON_STRING))
			id = xstrdup(r->str);
		else if (strcmp(name, "status") == 0 && token == JSON_STRING)
			status = xstrdup(r->str);
		else if (strcmp(name, "inserted_at") == 0 && token == JSON_STRING)
			at = parse_utc(r->str);
		else
			json_skip(r, token, 0);
		free(name);
	}
	if (r->error == NULL && (status == NULL || at < 0))
		json_fail(r, "a backup lacks its status or time");
	backups->count++;
	if (status != NULL && strcmp(status, "COMPLETED") == 0 && at > backups->completed_at)
	{
		backups->completed_at = at;
		backups->completed_id = id != NULL ? id : utc_time(at);
	}
	else if (status != NULL && strcmp(status, "FAILED") == 0 && at > backups->failed_at)
		backups->failed_at = at;
	free(status);
}

static void
read_backups(JsonReader *r, ProjectBackups *backups)
{
	JsonToken	token = json_next(r);
	bool		first = true;

	if (token == JSON_ARRAY)
	{
		while (json_element(r, &first, JSON_OBJECT))
			read_backup(r, backups);
	}
	else if (token != JSON_NULL)
		json_fail(r, "backups is not an array");
}

/* The whole answer; NULL, or what is wrong with it. */
const char *
supabase_read_answer(const char *text, size_t len, ProjectBackups *backups)
{
	JsonReader	r;
	const char *problem;
	bool		first = true;
	bool		stated = false;

	memset(backups, 0, sizeof(*backups));
	backups->earliest = backups->latest = backups->completed_at = backups->failed_at = -1;
	json_reader_open_text(&r, text, len, MAX_TEXT);
	if (json_expect(&r, JSON_OBJECT, "it is not an object"))
	{
		while (json_member(&r, &first))
		{
			if (strcmp(r.str, "pitr_enabled") == 0)
			{
				JsonToken	token = json_next(&r);

				if (token != JSON_TRUE && token != JSON_FALSE)
					json_fail(&r, "pitr_enabled is not true or false");
				backups->pitr = token == JSON_TRUE;
				stated = true;
			}
			else if (strcmp(r.str, "backups") == 0)
				read_backups(&r, backups);
			else if (strcmp(r.str, "physical_backup_data") == 0)
				read_window(&r, backups);
			else
				json_skip(&r, json_next(&r), 0);
		}
	}
	problem = json_finish(&r);
	return problem == NULL && !stated ? "pitr_enabled is missing" : problem;
}
