/*
 * src/core/privileges.c
 *		What the caller may read, and switching to another user or search_path.
 *
 * All SQL functions are SECURITY INVOKER.  What reads rows asks here first,
 * because a scan of our own does not pass the executor's permission checks and
 * because an answer filtered by row security is a wrong answer.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "core/privileges.h"
#include "core/relation.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"

static AttrNumber first_unreadable(Oid relid, List *columns);
static int	pin_settings(const char *row_security_value);

/*
 * Why the current user cannot read all rows of these columns (an integer list
 * of column numbers; NIL: all columns) of a relation; NULL if he can.  The
 * answer is a sentence for a finding's detail.
 */
char *
voxanne_unreadable(Oid relid, List *columns)
{
	Oid			userid = GetUserId();

	if (pg_class_aclcheck(relid, userid, ACL_SELECT) != ACLCHECK_OK)
	{
		AttrNumber	column = first_unreadable(relid, columns);

		if (columns == NIL || column != InvalidAttrNumber)
			return psprintf("Role %s has no SELECT privilege on %s.", voxanne_role_name(userid),
							pg_attribute_aclcheck_all(relid, userid, ACL_SELECT, ACLMASK_ANY) == ACLCHECK_OK &&
							column != InvalidAttrNumber ? voxanne_column_name(relid, column) : voxanne_relation_name(relid));
	}

	if (check_enable_rls(relid, InvalidOid, true) == RLS_ENABLED)
		return psprintf("Row security would hide rows of %s from role %s.",
						voxanne_relation_name(relid), voxanne_role_name(userid));
	return NULL;
}

/* The first of these columns that the current user may not read, or InvalidAttrNumber. */
static AttrNumber
first_unreadable(Oid relid, List *columns)
{
	ListCell   *lc;

	foreach(lc, columns)
	{
		if (pg_attribute_aclcheck(relid, lfirst_int(lc), GetUserId(), ACL_SELECT) != ACLCHECK_OK)
			return lfirst_int(lc);
	}
	return InvalidAttrNumber;
}

/*
 * From here to voxanne_unpin_settings() names resolve in pg_catalog only, and a
 * query that row security would filter fails instead.  Both revert by
 * themselves if the (sub)transaction aborts.
 */
int
voxanne_pin_settings(void)
{
	return pin_settings("off");
}

/*
 * The same for code that asks the server which policies apply: the server
 * raises an error instead of an answer while row_security is off.
 */
int
voxanne_pin_settings_for_policies(void)
{
	return pin_settings("on");
}

static int
pin_settings(const char *row_security_value)
{
	int			nestlevel = NewGUCNestLevel();

	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("row_security", row_security_value,
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return nestlevel;
}

/*
 * One setting more, likewise up to voxanne_unpin_settings().
 */
void
voxanne_pin_setting(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

void
voxanne_unpin_settings(int nestlevel)
{
	AtEOXact_GUC(true, nestlevel);
}

/*
 * Act as another user, who can do nothing that outlives the call: no SET ROLE,
 * no deferred trigger, no temporary object.  For expressions that users own and
 * for our own tables.  Reverts by itself if the (sub)transaction aborts.
 */
void
voxanne_become(Oid userid, VoxIdentity *saved)
{
	GetUserIdAndSecContext(&saved->userid, &saved->context);
	SetUserIdAndSecContext(userid, saved->context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
}

void
voxanne_become_again(const VoxIdentity *saved)
{
	SetUserIdAndSecContext(saved->userid, saved->context);
}
