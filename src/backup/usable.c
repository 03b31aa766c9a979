/*
 * src/backup/usable.c
 *		The newest backup of a target that was shown to be intact.
 *
 * A backup whose files were seen is not usable any more once they are missed.
 * (Where nothing but a list was ever seen, a failure may be its age alone.)
 * And what is found to be damaged once is not usable because all its files are
 * still there: a failure at a deeper level counts until that level has found
 * the same backup good.
 *
 * An incremental backup is of no use without those that it builds on.  So each
 * result names the places in WAL at which the backups of its chain start, and
 * one that finds some of them damaged or gone speaks against all backups that
 * build on these, until their level has found them good again.
 */
#include "postgres.h"

#include "backup/statement.h"
#include "backup/usable.h"
#include "core/utc.h"
#include "utils/memutils.h"

/*
 * Look in the log, for what the store's caller keeps: at a level, or at any for NULL; past the backup "unlike_id"
 * that ended at "unlike_finished_at" (either may be NULL for unknown), unless
 * both are NULL.  A backup that is written over has the same name, but ends at
 * another time.
 */
void
voxanne_find_usable(const VoxStore *store, const char *target, const char *level,
					const char *unlike_id, const char *unlike_finished_at,
					TimestampTz now, VoxUsable *usable)
{
	VoxStatement query;
	MemoryContext old;
	char	   *size;

	usable->backup_id = usable->backup = NULL;
	usable->finished_at = usable->verified_at = DT_NOBEGIN;
	usable->size_bytes = -1;
	voxanne_statement_start(&query, psprintf(
											 "WITH found AS (SELECT bad.level, start, max(bad.verified_at) AS verified_at"
											 "  FROM %1$s bad, jsonb_path_query(bad.verification_details, 'lax $.backup.broken[*]') start"
											 "  WHERE bad.target = $1 AND bad.status = 'failure' AND bad.verified_at <= $2 GROUP BY bad.level, start),"
											 " broken AS MATERIALIZED (SELECT * FROM found WHERE NOT EXISTS (SELECT FROM %1$s good"
											 "  WHERE good.target = $1 AND good.level = found.level AND (good.proof <> 'listed' OR good.status <> 'failure')"
											 "   AND good.verified_at > found.verified_at AND good.verified_at <= $2"
											 "   AND good.verification_details #> '{backup,chain}' @> jsonb_build_array(found.start)))"
											 " SELECT l.backup_id, l.verification_details #>> '{backup,finished_at}', l.verified_at,"
											 " l.verification_details #>> '{backup,size_bytes}',"
											 " CASE WHEN jsonb_typeof(l.verification_details -> 'backup') = 'object' THEN l.verification_details ->> 'backup' END"
											 " FROM %1$s l"
											 " WHERE l.target = $1 AND (l.proof <> 'listed' OR l.status <> 'failure') AND l.proof IS NOT NULL AND l.verified_at <= $2 AND l.level = coalesce($3, l.level)"
											 " AND ($4 IS NULL AND $5 IS NULL OR l.backup_id IS DISTINCT FROM $4"
											 "  OR l.verification_details #>> '{backup,finished_at}' IS DISTINCT FROM $5)"
											 " AND NOT EXISTS (SELECT FROM %1$s bad WHERE bad.target = l.target AND bad.backup_id = l.backup_id"
											 "  AND (bad.level <> 'status' OR l.proof <> 'listed' AND bad.verified_at > l.verified_at)"
											 "  AND bad.status = 'failure' AND bad.proof = 'listed' AND bad.verified_at <= $2"
											 "  AND NOT EXISTS (SELECT FROM %1$s good WHERE good.target = l.target AND good.backup_id = l.backup_id"
											 "   AND good.level = bad.level AND (good.proof <> 'listed' OR good.status <> 'failure')"
											 "   AND good.verified_at > bad.verified_at AND good.verified_at <= $2))"
											 " AND NOT EXISTS (SELECT FROM broken WHERE (broken.level <> 'status' OR broken.verified_at > l.verified_at)"
											 "  AND l.verification_details #> '{backup,chain}' @> jsonb_build_array(broken.start))"
											 " ORDER BY l.verified_at DESC LIMIT 1", store->log));
	voxanne_bind_text(&query, target);
	voxanne_bind_time(&query, now + VOX_CLOCK_SLACK);
	voxanne_bind_text(&query, level);
	voxanne_bind_text(&query, unlike_id);
	voxanne_bind_text(&query, unlike_finished_at);
	if (voxanne_statement_run(&query) == 0)
		return;
	old = MemoryContextSwitchTo(store->caller);
	usable->backup_id = voxanne_field_text(0, 1);
	usable->backup = voxanne_field_text(0, 5);
	MemoryContextSwitchTo(old);
	if (!voxanne_parse_utc(voxanne_field_text(0, 2), &usable->finished_at))
		usable->finished_at = DT_NOBEGIN;
	usable->verified_at = voxanne_field_time(0, 3);
	size = voxanne_field_text(0, 4);
	if (size != NULL && strspn(size, "0123456789") == strlen(size) && strlen(size) < 19)
		usable->size_bytes = strtoi64(size, NULL, 10);
}
