/*
 * src/backup/base_backups.c
 *		The base backups that an archive of WAL serves.
 *
 * WAL alone restores nothing, and a directory that pg_receivewal fills does not
 * say of which backups there are.  The targets of kind basebackup in the same
 * database do: of each the newest backup that was shown to be intact, and from
 * where on it needs WAL, is in the log.
 */
#include "postgres.h"

#include "backup/base_backups.h"
#include "backup/kind.h"
#include "backup/usable.h"
#include "core/json.h"
#include "utils/timestamp.h"

static char *as_argument(const VoxTarget *target, const VoxUsable *usable);

/* A JSON array of them, for the store's caller, as the agent's option --seen-backup takes each. */
char *
voxanne_base_backups(const VoxStore *store, List *targets, TimestampTz now)
{
	VoxJson		json;
	ListCell   *lc;
	MemoryContext old;
	char	   *text;

	voxanne_json_start(&json);
	voxanne_json_open(&json, NULL, '[');
	foreach(lc, targets)
	{
		VoxTarget  *target = lfirst(lc);
		VoxUsable	usable;
		char	   *argument;

		if (strcmp(target->kind, voxanne_kind_basebackup.name) != 0 || voxanne_target_suspended(target))
			continue;
		voxanne_find_usable(store, target->name, NULL, NULL, NULL, now, &usable);
		argument = as_argument(target, &usable);
		if (argument != NULL)
			voxanne_json_put_text(&json, NULL, argument);
	}
	voxanne_json_close(&json, ']');
	old = MemoryContextSwitchTo(store->caller);
	text = pstrdup(json.text.data);

	MemoryContextSwitchTo(old);
	return text;
}

/* START_LSN,TIMELINE,END_LSN[@SECONDS],TARGET/BACKUP; NULL if the log does not hold that. */
static char *
as_argument(const VoxTarget *target, const VoxUsable *usable)
{
	JsonbContainer *backup = usable->backup == NULL ? NULL : voxanne_json_parse(usable->backup);
	char	   *start = voxanne_json_text(backup, "start_lsn");
	char	   *end = voxanne_json_text(backup, "end_lsn");
	int64		timeline = 0;

	if (start == NULL || end == NULL || !voxanne_json_int64(backup, "timeline", &timeline) || timeline <= 0)
		return NULL;
	if (!TIMESTAMP_IS_NOBEGIN(usable->finished_at))
		end = psprintf("%s@" INT64_FORMAT, end, (int64) timestamptz_to_time_t(usable->finished_at));
	return psprintf("%s," INT64_FORMAT ",%s,%s/%s", start, timeline, end, target->name,
					usable->backup_id == NULL ? "?" : usable->backup_id);
}
