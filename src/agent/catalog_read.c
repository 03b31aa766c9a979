/*
 * src/agent/catalog_read.c
 *		What the readers of the tools' lists share.
 */
#include "catalog.h"
#include "wal_name.h"

#include <stdlib.h>
#include <string.h>

#define MAX_BACKUPS 10000

/* A new backup of the list, of which nothing is known yet; too many of them are the reader's error. */
static CatalogBackup *
add_backup(JsonReader *r, Catalog *catalog)
{
	if (catalog->n_backups == MAX_BACKUPS)
		json_fail(r, "there are too many backups");
	else
		catalog->n_backups++;
	catalog->backups = xrealloc(catalog->backups, (size_t) catalog->n_backups * sizeof(CatalogBackup));
	catalog->backups[catalog->n_backups - 1] = (CatalogBackup)
	{
		.started_at = -1,.finished_at = -1,.size = -1,.stored = -1,.timeline = -1,.database = -1,.repository = -1
	};
	return &catalog->backups[catalog->n_backups - 1];
}

/*
 * An element of a list, whose first token was taken, as a new backup of the
 * catalog; what was read of it even after an error.
 */
CatalogBackup *
read_catalog_backup(JsonReader *r, JsonToken token, Catalog *catalog, const JsonField *fields)
{
	CatalogBackup *backup = add_backup(r, catalog);

	if (token != JSON_OBJECT)
		json_fail(r, "a backup is no object");
	else
		json_read_fields(r, fields, backup);
	return backup;
}

/* A document that is an array: "element" takes each of its elements.  NULL, or what is wrong with it. */
const char *
read_catalog_array(Catalog *catalog, const ProgramOutput *output,
				   void (*element) (JsonReader *r, JsonToken token, Catalog *catalog))
{
	JsonReader	r;
	JsonToken	token;
	bool		first = true;

	json_reader_open_text(&r, output->text, output->len, MAX_CATALOG_TEXT);
	if (json_expect(&r, JSON_ARRAY, "it is not an array"))
	{
		while (json_any_element(&r, &first, &token))
			element(&r, token, catalog);
	}
	return json_finish(&r);
}

/* The timeline of a segment; -1 for NULL or what is none. */
int64_t
catalog_timeline(const char *segment)
{
	uint32_t	timeline = segment == NULL ? 0 : timeline_of_name(segment);

	return timeline == 0 ? -1 : (int64_t) timeline;
}

/* The backup of this name, or NULL. */
CatalogBackup *
find_catalog_backup(const Catalog *catalog, const char *id)
{
	for (int i = 0; i < catalog->n_backups; i++)
	{
		if (catalog->backups[i].id != NULL && strcmp(catalog->backups[i].id, id) == 0)
			return &catalog->backups[i];
	}
	return NULL;
}
