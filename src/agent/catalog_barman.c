/*
 * src/agent/catalog_barman.c
 *		What Barman says: list-backups, and show-backup of the newest.
 *
 * The list tells states, times and sizes, and from 3.11 on types; only
 * show-backup tells WAL, timeline and, in later versions, system identifier and
 * parent.  To ask for each backup would take a second each, so it is asked for
 * the newest, by the name "latest", before anything is parsed.
 */
#include "catalog.h"
#include "repository_files.h"

#include <stdlib.h>
#include <string.h>

static const JsonField list_fields[] = {
	{"backup_id", FIELD_TEXT, BACKUP(id), NULL, NULL},
	{"backup_type", FIELD_TEXT, BACKUP(type), NULL, NULL},
	{"status", FIELD_TEXT, BACKUP(status), NULL, NULL},
	{"end_time_timestamp", FIELD_SECONDS, BACKUP(finished_at), NULL, NULL},
	{"size_bytes", FIELD_COUNT, BACKUP(size), NULL, NULL},
	{"retention_status", FIELD_TEXT, BACKUP(retention), NULL, NULL},
	{0}
};
static const JsonField base_fields[] = {
	{"begin_time_timestamp", FIELD_SECONDS, BACKUP(started_at), NULL, NULL},
	{"incremental_size_bytes", FIELD_COUNT, BACKUP(stored), NULL, NULL},
	{"timeline", FIELD_COUNT, BACKUP(timeline), NULL, NULL},
	{"begin_wal", FIELD_TEXT, BACKUP(start_wal), NULL, NULL},
	{"end_wal", FIELD_TEXT, BACKUP(stop_wal), NULL, NULL},
	{"begin_lsn", FIELD_LSN, BACKUP(start_lsn), NULL, NULL},
	{"end_lsn", FIELD_LSN, BACKUP(stop_lsn), NULL, NULL},
	{0}
};
static const JsonField information_fields[] = {
	{"parent_backup_id", FIELD_TEXT, BACKUP(prior), NULL, NULL},
	{"root_backup_id", FIELD_TEXT, BACKUP(root), NULL, NULL},
	{0}
};
static const JsonField show_fields[] = {
	{"backup_id", FIELD_TEXT, BACKUP(id), NULL, NULL},
	{"system_id", FIELD_IDENTIFIER, BACKUP(system_identifier), NULL, NULL},
	{"base_backup_information", FIELD_OBJECT, 0, base_fields, NULL},
	{"catalog_information", FIELD_OBJECT, 0, information_fields, NULL},
	{0}
};

static int
arguments(const char **argv, int run, const char *config, const char *name)
{
	int			n = 1;

	if (config != NULL)
	{
		argv[n++] = "-c";
		argv[n++] = config;
	}
	argv[n++] = "-f";
	argv[n++] = "json";
	argv[n++] = run == 0 ? "list-backups" : "show-backup";
	argv[n++] = name;
	if (run > 0)
		argv[n++] = "latest";
	return n;
}

/* What its words mean. */
static void
take_status(CatalogBackup *backup)
{
	backup->waiting = strcmp(backup->status, "WAITING_FOR_WALS") == 0;
	backup->complete = backup->waiting || strcmp(backup->status, "DONE") == 0;
	backup->failed = strcmp(backup->status, "FAILED") == 0;
	if (backup->type == NULL)
		backup->type = xstrdup("full");
	else if (strcmp(backup->type, "incremental") == 0)
	{
		/*
		 * its size is that of the difference, which no other can be compared
		 * with
		 */
		backup->type = xstrdup("incr");
		backup->stored = backup->size;
		backup->size = -1;
	}
}

/* An array of backups, whose bracket was taken, and the server's. */
static void
read_list(JsonReader *r, Catalog *catalog)
{
	JsonToken	token;
	bool		first = true;

	while (json_any_element(r, &first, &token))
	{
		CatalogBackup *backup = read_catalog_backup(r, token, catalog, list_fields);

		if (r->error == NULL && (backup->id == NULL || backup->status == NULL))
			json_fail(r, "a backup lacks its id or status");
		if (r->error != NULL)
			return;
		take_status(backup);
		if (backup->complete && backup->finished_at < 0)
			json_fail(r, "a backup lacks its time");
		catalog->in_progress |= strcmp(backup->status, "STARTED") == 0 || strcmp(backup->status, "EMPTY") == 0;
	}
}

/* What is shown of one backup: fill in what the list does not have. */
static void
read_shown(JsonReader *r, Catalog *catalog)
{
	CatalogBackup shown = {.started_at = -1,.stored = -1,.timeline = -1};
	CatalogBackup *backup;

	json_read_fields(r, show_fields, &shown);
	if (r->error != NULL)
		return;
	backup = shown.id == NULL ? NULL : find_catalog_backup(catalog, shown.id);
	if (backup == NULL)
		return;					/* deleted or made since it was listed */
	backup->started_at = shown.started_at;
	backup->stored = backup->stored >= 0 ? backup->stored : shown.stored;
	backup->timeline = shown.timeline;
	backup->start_wal = shown.start_wal;
	backup->stop_wal = shown.stop_wal;
	backup->start_lsn = shown.start_lsn;
	backup->stop_lsn = shown.stop_lsn;
	backup->system_identifier = shown.system_identifier;
	if (strcmp(backup->type, "incr") != 0)
		return;
	backup->prior = shown.prior;
	backup->root = shown.root;
}

/* Messages, an array of strings: the first becomes the remark. */
static void
read_messages(JsonReader *r, Catalog *catalog)
{
	JsonToken	token;
	bool		first = true;

	while (json_any_element(r, &first, &token))
	{
		if (token == JSON_STRING && catalog->remark == NULL)
			catalog->remark = xstrdup(r->str);
		json_skip(r, token, 0);
	}
}

/* One run's document: an object with a member of the server's name, and messages. */
static const char *
read_document(Catalog *catalog, const ProgramOutput *output, bool shown)
{
	JsonReader	r;
	bool		first = true;

	json_reader_open_text(&r, output->text, output->len, MAX_CATALOG_TEXT);
	if (json_expect(&r, JSON_OBJECT, "it is not an object"))
	{
		while (json_member(&r, &first))
		{
			bool		server = strcmp(r.str, catalog->name) == 0;
			bool		messages = strcmp(r.str, "_ERROR") == 0 || strcmp(r.str, "_EXCEPTION") == 0;
			JsonToken	token = json_next(&r);

			if (server && token == (shown ? JSON_OBJECT : JSON_ARRAY))
			{
				catalog->named = true;
				if (shown)
					read_shown(&r, catalog);
				else
					read_list(&r, catalog);
			}
			else if (messages && token == JSON_ARRAY && !shown)
				read_messages(&r, catalog);
			else if (server)
				json_fail(&r, "what it says of the server is of an unknown form");
			else
				json_skip(&r, token, 0);
		}
	}
	return json_finish(&r);
}

static const char *
read_documents(Catalog *catalog, const ProgramOutput *outputs)
{
	const char *problem = read_document(catalog, &outputs[0], false);

	if (problem != NULL || outputs[0].exit_status != 0)
		return problem;
	for (int i = 0; i < catalog->n_backups; i++)
	{
		if (catalog->backups[i].complete)
			return read_document(catalog, &outputs[1], true);
	}
	return NULL;				/* nothing to show, which is an error to
								 * Barman */
}

const CatalogTool barman_tool = {
	.name = "barman",
	.title = "Barman",
	.noun = "server",
	.runs = 2,
	.arguments = arguments,
	.read = read_documents,
	.speaks = true,
	.verify_files = verify_barman_files,
	.layout = "barman",
	.place = "",
	.named = true,
};
