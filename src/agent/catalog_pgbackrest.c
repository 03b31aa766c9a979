/*
 * src/agent/catalog_pgbackrest.c
 *		What pgBackRest says: info --output=json.
 *
 * An array with an object for the stanza, which it invents if there is none.
 * Backups name their cluster by a number in a list, of which a stanza has
 * several after an upgrade, and each of several repositories its own.
 */
#include "catalog.h"
#include "repository_files.h"

#include <stdlib.h>
#include <string.h>

/* Codes of "status" */
#define STATUS_OK 0
#define STATUS_MIXED 4			/* repositories differ */
#define STATUS_MISMATCH 5		/* they are of different databases */
#define STATUS_OTHER 99

typedef struct Database
{
	int64_t		id;
	int64_t		repository;
	uint64_t	system_identifier;
} Database;

/* What is said of one repository */
typedef struct RepositoryStatus
{
	int64_t		code;
	char	   *message;
} RepositoryStatus;

typedef struct Stanza
{
	Catalog    *catalog;
	char	   *name;
	int64_t		code;
	char	   *message;
	char	   *reason;			/* of a repository that cannot be looked at */
	bool		locked;
	Database   *databases;
	int			n_databases;
	char	   *last_wal;
} Stanza;

static void add_reference(JsonReader *r, JsonToken token, void *base);
static void add_backup(JsonReader *r, JsonToken token, void *base);
static void add_database(JsonReader *r, JsonToken token, void *base);
static void add_archive(JsonReader *r, JsonToken token, void *base);
static void add_repository(JsonReader *r, JsonToken token, void *base);

static const JsonField archive_fields[] = {
	{"start", FIELD_TEXT, BACKUP(start_wal), NULL, NULL},
	{"stop", FIELD_TEXT, BACKUP(stop_wal), NULL, NULL},
	{0}
};
static const JsonField lsn_fields[] = {
	{"start", FIELD_LSN, BACKUP(start_lsn), NULL, NULL},
	{"stop", FIELD_LSN, BACKUP(stop_lsn), NULL, NULL},
	{0}
};
static const JsonField timestamp_fields[] = {
	{"start", FIELD_SECONDS, BACKUP(started_at), NULL, NULL},
	{"stop", FIELD_SECONDS, BACKUP(finished_at), NULL, NULL},
	{0}
};
static const JsonField repository_fields[] = {
	{"delta", FIELD_COUNT, BACKUP(stored), NULL, NULL},
	{0}
};
static const JsonField info_fields[] = {
	{"size", FIELD_COUNT, BACKUP(size), NULL, NULL},
	{"repository", FIELD_OBJECT, 0, repository_fields, NULL},
	{0}
};
static const JsonField backup_database_fields[] = {
	{"id", FIELD_COUNT, BACKUP(database), NULL, NULL},
	{"repo-key", FIELD_COUNT, BACKUP(repository), NULL, NULL},
	{0}
};
static const JsonField backup_fields[] = {
	{"label", FIELD_TEXT, BACKUP(id), NULL, NULL},
	{"type", FIELD_TEXT, BACKUP(type), NULL, NULL},
	{"prior", FIELD_TEXT, BACKUP(prior), NULL, NULL},
	{"reference", FIELD_ARRAY, 0, NULL, add_reference},
	{"error", FIELD_FLAG, BACKUP(bad_pages), NULL, NULL},
	{"archive", FIELD_OBJECT, 0, archive_fields, NULL},
	{"lsn", FIELD_OBJECT, 0, lsn_fields, NULL},
	{"timestamp", FIELD_OBJECT, 0, timestamp_fields, NULL},
	{"info", FIELD_OBJECT, 0, info_fields, NULL},
	{"database", FIELD_OBJECT, 0, backup_database_fields, NULL},
	{0}
};
static const JsonField database_fields[] = {
	{"id", FIELD_COUNT, offsetof(Database, id), NULL, NULL},
	{"repo-key", FIELD_COUNT, offsetof(Database, repository), NULL, NULL},
	{"system-id", FIELD_IDENTIFIER, offsetof(Database, system_identifier), NULL, NULL},
	{0}
};
static const JsonField held_fields[] = {
	{"held", FIELD_FLAG, offsetof(Stanza, locked), NULL, NULL},
	{0}
};
static const JsonField lock_fields[] = {
	{"backup", FIELD_OBJECT, 0, held_fields, NULL},
	{0}
};
static const JsonField status_fields[] = {
	{"code", FIELD_COUNT, offsetof(Stanza, code), NULL, NULL},
	{"message", FIELD_TEXT, offsetof(Stanza, message), NULL, NULL},
	{"lock", FIELD_OBJECT, 0, lock_fields, NULL},
	{0}
};
static const JsonField last_fields[] = {
	{"max", FIELD_TEXT, offsetof(Stanza, last_wal), NULL, NULL},
	{0}
};
static const JsonField repository_status_fields[] = {
	{"code", FIELD_COUNT, offsetof(RepositoryStatus, code), NULL, NULL},
	{"message", FIELD_TEXT, offsetof(RepositoryStatus, message), NULL, NULL},
	{0}
};
static const JsonField repository_of_stanza_fields[] = {
	{"status", FIELD_OBJECT, 0, repository_status_fields, NULL},
	{0}
};
static const JsonField stanza_fields[] = {
	{"name", FIELD_TEXT, offsetof(Stanza, name), NULL, NULL},
	{"status", FIELD_OBJECT, 0, status_fields, NULL},
	{"db", FIELD_ARRAY, 0, NULL, add_database},
	{"archive", FIELD_ARRAY, 0, NULL, add_archive},
	{"repo", FIELD_ARRAY, 0, NULL, add_repository},
	{"backup", FIELD_ARRAY, 0, NULL, add_backup},
	{0}
};

static int
arguments(const char **argv, int run, const char *config, const char *name)
{
	int			n = 1;

	if (config != NULL)
		argv[n++] = format("--config=%s", config);
	argv[n++] = format("--stanza=%s", name);
	argv[n++] = "--output=json";

	/*
	 * a warning among the JSON would spoil it, and a log file is nobody's
	 * wish
	 */
	argv[n++] = "--log-level-console=off";
	argv[n++] = "--log-level-file=off";
	argv[n++] = "--log-level-stderr=error";
	argv[n++] = "info";
	return n;
}

static void
add_reference(JsonReader *r, JsonToken token, void *base)
{
	CatalogBackup *backup = base;

	if (token != JSON_STRING)
	{
		json_fail(r, "a reference is no string");
		return;
	}
	backup->references = xrealloc(backup->references, (size_t) (backup->n_references + 1) * sizeof(char *));
	backup->references[backup->n_references++] = xstrdup(r->str);
}

static void
add_backup(JsonReader *r, JsonToken token, void *base)
{
	Stanza	   *stanza = base;
	CatalogBackup *backup = read_catalog_backup(r, token, stanza->catalog, backup_fields);

	if (r->error == NULL && (backup->id == NULL || backup->type == NULL || backup->finished_at < 0 || backup->database < 0))
		json_fail(r, "a backup lacks its label, type, time or database");
	backup->complete = true;
	backup->timeline = catalog_timeline(backup->stop_wal);
}

static void
add_database(JsonReader *r, JsonToken token, void *base)
{
	Stanza	   *stanza = base;
	Database	database = {-1, -1, 0};

	if (token != JSON_OBJECT)
	{
		json_fail(r, "a database is no object");
		return;
	}
	json_read_fields(r, database_fields, &database);
	stanza->databases = xrealloc(stanza->databases, (size_t) (stanza->n_databases + 1) * sizeof(Database));
	stanza->databases[stanza->n_databases++] = database;
}

/* The last one is of the present version. */
static void
add_archive(JsonReader *r, JsonToken token, void *base)
{
	if (token == JSON_OBJECT)
		json_read_fields(r, last_fields, base);
	else
		json_fail(r, "an archive is no object");
}

/* Of the first that could not be looked at, why: a message of several lines, with hints behind what happened. */
static void
add_repository(JsonReader *r, JsonToken token, void *base)
{
	Stanza	   *stanza = base;
	RepositoryStatus status = {-1, NULL};
	char	   *hint;

	if (token != JSON_OBJECT)
	{
		json_fail(r, "a repository is no object");
		return;
	}
	json_read_fields(r, repository_of_stanza_fields, &status);
	if (status.code != STATUS_OTHER || status.message == NULL || stanza->reason != NULL)
		return;
	hint = strstr(status.message, "\nHINT: ");
	if (hint != NULL)
		*hint = '\0';
	for (char *at = status.message; (at = strchr(at, '\n')) != NULL;)
		*at = ' ';
	stanza->reason = status.message;
}

static uint64_t
system_of(const Stanza *stanza, const CatalogBackup *backup)
{
	for (int i = 0; i < stanza->n_databases; i++)
	{
		if (stanza->databases[i].id == backup->database && stanza->databases[i].repository == backup->repository)
			return stanza->databases[i].system_identifier;
	}
	return 0;
}

static void
take_stanza(JsonReader *r, Catalog *catalog, const Stanza *stanza)
{
	if (stanza->code < 0 || stanza->name == NULL)
		json_fail(r, "a stanza lacks its name or status");
	for (int i = 0; i < catalog->n_backups; i++)
		catalog->backups[i].system_identifier = system_of(stanza, &catalog->backups[i]);
	catalog->named = true;
	catalog->in_progress = stanza->locked;
	catalog->last_wal = stanza->last_wal;
	if (stanza->code != STATUS_OK)
		catalog->remark = stanza->message;
	catalog->inconsistent = stanza->code == STATUS_MIXED || stanza->code == STATUS_MISMATCH;
	if (stanza->code == STATUS_OTHER)
		catalog->unreadable = stanza->reason != NULL ? stanza->reason : stanza->message != NULL ? stanza->message : xstrdup("its status is \"other\"");
}

static void
read_stanza(JsonReader *r, JsonToken token, Catalog *catalog)
{
	Stanza		stanza = {.catalog = catalog,.code = -1};

	if (token != JSON_OBJECT)
		json_fail(r, "a stanza is no object");
	else if (catalog->named)
		json_fail(r, "there is more than one stanza");
	else
		json_read_fields(r, stanza_fields, &stanza);
	if (r->error == NULL && stanza.name != NULL && strcmp(stanza.name, catalog->name) != 0)
		json_fail(r, "it is of another stanza");
	if (r->error == NULL)
		take_stanza(r, catalog, &stanza);
}

static const char *
read_info(Catalog *catalog, const ProgramOutput *outputs)
{
	return read_catalog_array(catalog, outputs, read_stanza);
}

const CatalogTool pgbackrest_tool = {
	.name = "pgbackrest",
	.title = "pgBackRest",
	.noun = "stanza",
	.runs = 1,
	.arguments = arguments,
	.read = read_info,
	.verify_files = verify_pgbackrest_files,
	.whole = true,
	.layout = "pgbackrest",
	.place = "archive/",
	.named = true,
};
