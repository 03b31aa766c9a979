/*
 * src/locks/lockname.c
 *		Names of what is locked.
 *
 * A lock tag holds oids, some of another database, some of objects that are
 * gone.  What can be resolved here gets its name, everything else is called by
 * its number and database, so that the text never says more than is known.
 *
 * Names come from catalogs, and a catalog can itself be what everybody waits
 * for.  So each is locked first if that takes no waiting, and numbers are used
 * if it does: whoever looks at a jam must not join it.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_auth_members.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_namespace.h"
#include "commands/dbcommands.h"
#include "core/compat.h"
#include "core/relation.h"
#include "locks/lockname.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

typedef char *(*TagNamer) (const VoxNaming *naming, const LOCKTAG *tag);

static char *lock_name(const VoxNaming *naming, const LOCKTAG *tag);
static char *in_database(const VoxNaming *naming, Oid database, char *what);
static char *relation_name(const VoxNaming *naming, const LOCKTAG *tag);
static bool is_resolvable(const VoxNaming *naming, const LOCKTAG *tag);

static char *name_relation(const VoxNaming *naming, const LOCKTAG *tag);
static char *name_extension(const VoxNaming *naming, const LOCKTAG *tag);
static char *name_frozen_ids(const VoxNaming *naming, const LOCKTAG *tag);
static char *name_page(const VoxNaming *naming, const LOCKTAG *tag);
static char *name_row(const VoxNaming *naming, const LOCKTAG *tag);
static char *name_transaction(const VoxNaming *naming, const LOCKTAG *tag);
static char *name_virtual_transaction(const VoxNaming *naming, const LOCKTAG *tag);
static char *name_speculative_token(const VoxNaming *naming, const LOCKTAG *tag);
static char *name_object(const VoxNaming *naming, const LOCKTAG *tag);
static char *name_user_lock(const VoxNaming *naming, const LOCKTAG *tag);
static char *name_advisory(const VoxNaming *naming, const LOCKTAG *tag);
static char *name_applied_transaction(const VoxNaming *naming, const LOCKTAG *tag);

static const TagNamer tag_namers[] = {
	[LOCKTAG_RELATION] = name_relation,
	[LOCKTAG_RELATION_EXTEND] = name_extension,
	[LOCKTAG_DATABASE_FROZEN_IDS] = name_frozen_ids,
	[LOCKTAG_PAGE] = name_page,
	[LOCKTAG_TUPLE] = name_row,
	[LOCKTAG_TRANSACTION] = name_transaction,
	[LOCKTAG_VIRTUALTRANSACTION] = name_virtual_transaction,
	[LOCKTAG_SPECULATIVE_TOKEN] = name_speculative_token,
	[LOCKTAG_OBJECT] = name_object,
	[LOCKTAG_USERLOCK] = name_user_lock,
	[LOCKTAG_ADVISORY] = name_advisory,
	[VOX_LOCKTAG_APPLY] = name_applied_transaction,
};

/* Of waits that are not for a lock. */
static const char *const wait_targets[] = {
	[VOX_WAIT_SAFE_SNAPSHOT] = "safe snapshot",
	[VOX_WAIT_SNAPSHOT_CONFLICT] = "row versions that snapshots still need",
	[VOX_WAIT_TABLESPACE] = "tablespace in use",
	[VOX_WAIT_PIN] = "buffer pin",
};

/* The catalogs that names come from, in the order of VoxNaming.locked. */
enum
{
	CLASSES,
	SCHEMAS,
	DATABASES,
	ROLES,
	MEMBERSHIPS
};
static const Oid catalogs[VOX_NAMING_CATALOGS] = {
	[CLASSES] = RelationRelationId,
	[SCHEMAS] = NamespaceRelationId,
	[DATABASES] = DatabaseRelationId,
	[ROLES] = AuthIdRelationId,
	[MEMBERSHIPS] = AuthMemRelationId,
};

/*
 * Lock, without waiting, the catalogs that names are read from, until
 * voxanne_naming_end() or the end of the transaction.  "own_schema" is where
 * the table with the labels of advisory locks is.
 */
void
voxanne_naming_begin(VoxNaming *naming, Oid own_schema)
{
	for (int i = 0; i < VOX_NAMING_CATALOGS; i++)
		naming->locked[i] = ConditionalLockRelationOid(catalogs[i], AccessShareLock);
	naming->labels = naming->locked[CLASSES] ?
		get_relname_relid("advisory_lock_name", own_schema) : InvalidOid;
}

/*
 * Can it be known without waiting what a role may do?
 */
bool
voxanne_naming_roles(const VoxNaming *naming)
{
	return naming->locked[ROLES] && naming->locked[MEMBERSHIPS];
}

void
voxanne_naming_end(VoxNaming *naming)
{
	for (int i = 0; i < VOX_NAMING_CATALOGS; i++)
		if (naming->locked[i])
			UnlockRelationOid(catalogs[i], AccessShareLock);
}

/*
 * What a process waits for, as a phrase: "row public.t (0,1) id=7".  Who waits
 * for a transaction because of a row waits for the row.
 */
char *
voxanne_lock_target(const VoxNaming *naming, const VoxWait *wait)
{
	if (wait->what != VOX_WAIT_LOCK)
		return pstrdup(wait_targets[wait->what]);
	return lock_name(naming, wait->on_row ? &wait->row : &wait->tag);
}

/*
 * Quoted identity of the relation that a wait is about, or its target if it is
 * about none.
 */
char *
voxanne_lock_object(const VoxNaming *naming, const VoxWait *wait)
{
	const LOCKTAG *tag = wait->on_row ? &wait->row : &wait->tag;

	if (wait->what == VOX_WAIT_LOCK && tag->locktag_type <= LOCKTAG_TUPLE &&
		tag->locktag_type != LOCKTAG_DATABASE_FROZEN_IDS && is_resolvable(naming, tag))
	{
		char	   *name = voxanne_relation_name(tag->locktag_field2);

		if (name != NULL)
			return name;
	}
	return voxanne_lock_target(naming, wait);
}

/*
 * The database that a wait is in; InvalidOid if that cannot be told from the lock.
 */
Oid
voxanne_lock_database(const VoxWait *wait)
{
	const LOCKTAG *tag = wait->on_row ? &wait->row : &wait->tag;

	if (wait->what != VOX_WAIT_LOCK ||
		(tag->locktag_type > LOCKTAG_TUPLE && tag->locktag_type < LOCKTAG_OBJECT))
		return InvalidOid;
	return tag->locktag_field1;
}

/*
 * Name of a database or role, not quoted; NULL if there is none or its
 * catalog is not to be had.
 */
char *
voxanne_database_name(const VoxNaming *naming, Oid database)
{
	return naming->locked[DATABASES] && OidIsValid(database) ? get_database_name(database) : NULL;
}

char *
voxanne_user_name(const VoxNaming *naming, Oid userid)
{
	return naming->locked[ROLES] && OidIsValid(userid) ? GetUserNameFromId(userid, true) : NULL;
}

static char *
lock_name(const VoxNaming *naming, const LOCKTAG *tag)
{
	if (tag->locktag_type >= lengthof(tag_namers))
		return psprintf("lock of type %d", tag->locktag_type);
	return tag_namers[tag->locktag_type] (naming, tag);
}

/* "what", with its database if that is another one. */
static char *
in_database(const VoxNaming *naming, Oid database, char *what)
{
	char	   *name;

	if (database == MyDatabaseId || !OidIsValid(database))
		return what;
	name = voxanne_database_name(naming, database);
	if (name == NULL)
		return psprintf("%s of database %u", what, database);
	return psprintf("%s of database %s", what, quote_identifier(name));
}

/* Relation of this database or a shared one, and its catalogs can be read? */
static bool
is_resolvable(const VoxNaming *naming, const LOCKTAG *tag)
{
	return naming->locked[CLASSES] && naming->locked[SCHEMAS] &&
		(tag->locktag_field1 == MyDatabaseId || !OidIsValid(tag->locktag_field1));
}

static char *
relation_name(const VoxNaming *naming, const LOCKTAG *tag)
{
	char	   *name = is_resolvable(naming, tag) ? voxanne_relation_name(tag->locktag_field2) : NULL;

	if (name != NULL)
		return name;
	return in_database(naming, tag->locktag_field1, psprintf("%u", tag->locktag_field2));
}

static char *
name_relation(const VoxNaming *naming, const LOCKTAG *tag)
{
	return psprintf("relation %s", relation_name(naming, tag));
}

static char *
name_extension(const VoxNaming *naming, const LOCKTAG *tag)
{
	return psprintf("extension of relation %s", relation_name(naming, tag));
}

static char *
name_frozen_ids(const VoxNaming *naming, const LOCKTAG *tag)
{
	char	   *name = voxanne_database_name(naming, tag->locktag_field1);

	return name != NULL ? psprintf("frozen transaction ids of database %s", quote_identifier(name)) :
		psprintf("frozen transaction ids of database %u", tag->locktag_field1);
}

static char *
name_page(const VoxNaming *naming, const LOCKTAG *tag)
{
	return psprintf("page %u of relation %s", tag->locktag_field3, relation_name(naming, tag));
}

/* With the primary key, where the caller may read it and that takes no waiting. */
static char *
name_row(const VoxNaming *naming, const LOCKTAG *tag)
{
	char	   *key = NULL;

	if (is_resolvable(naming, tag))
	{
		ItemPointerData tid;

		ItemPointerSet(&tid, tag->locktag_field3, tag->locktag_field4);
		key = voxanne_row_key(tag->locktag_field2, &tid);
	}
	return psprintf("row %s (%u,%u)%s", relation_name(naming, tag),
					tag->locktag_field3, tag->locktag_field4, key != NULL ? key : "");
}

static char *
name_transaction(const VoxNaming *naming, const LOCKTAG *tag)
{
	return psprintf("transaction %u", tag->locktag_field1);
}

static char *
name_virtual_transaction(const VoxNaming *naming, const LOCKTAG *tag)
{
	return psprintf("virtual transaction %u/%u", tag->locktag_field1, tag->locktag_field2);
}

static char *
name_speculative_token(const VoxNaming *naming, const LOCKTAG *tag)
{
	return psprintf("speculative insertion %u of transaction %u",
					tag->locktag_field2, tag->locktag_field1);
}

/* Objects that are not relations, by the server's own description. */
static char *
name_object(const VoxNaming *naming, const LOCKTAG *tag)
{
	ObjectAddress address = {
		.classId = tag->locktag_field2,
		.objectId = tag->locktag_field3,
	};
	char	   *name = NULL;

	/* the lock that puts commits of transactions with NOTIFY in order */
	if (address.classId == DatabaseRelationId && !OidIsValid(address.objectId))
		return pstrdup("queue of NOTIFY");

	if (is_resolvable(naming, tag) && is_objectclass_supported(address.classId))
		name = getObjectDescription(&address, true);
	if (name != NULL)
		return name;
	return in_database(naming, tag->locktag_field1,
					   psprintf("object %u of catalog %u", address.objectId, address.classId));
}

static char *
name_user_lock(const VoxNaming *naming, const LOCKTAG *tag)
{
	return in_database(naming, tag->locktag_field1,
					   psprintf("user lock %u, %u, %u", tag->locktag_field2, tag->locktag_field3,
								tag->locktag_field4));
}

/* Numbers as they were given to pg_advisory_lock(). */
static char *
name_advisory(const VoxNaming *naming, const LOCKTAG *tag)
{
	char	   *label = NULL;
	char	   *name;

	if (tag->locktag_field4 == 1)
		name = psprintf("advisory lock " INT64_FORMAT,
						(int64) (((uint64) tag->locktag_field2 << 32) | tag->locktag_field3));
	else
		name = psprintf("advisory lock %d, %d",
						(int32) tag->locktag_field2, (int32) tag->locktag_field3);

	if (tag->locktag_field1 == MyDatabaseId && OidIsValid(naming->labels))
		label = voxanne_advisory_label(naming->labels, tag);
	if (label != NULL)
		name = psprintf("%s \"%s\"", name, label);
	return in_database(naming, tag->locktag_field1, name);
}

static char *
name_applied_transaction(const VoxNaming *naming, const LOCKTAG *tag)
{
	return in_database(naming, tag->locktag_field1,
					   psprintf("transaction %u applied by subscription %u",
								tag->locktag_field3, tag->locktag_field2));
}
