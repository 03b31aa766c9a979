/*
 * src/policy/foreign.c
 *		Foreign tables, which cannot have row security.
 *
 * Whoever may read one sees what the user sees there whom the user mapping
 * names.  A role without a mapping cannot use the server, unless its wrapper
 * needs none; that is assumed where nobody has one.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "audit.h"
#include "catalog/pg_user_mapping.h"
#include "foreign/foreign.h"
#include "lib/stringinfo.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

static bool has_mapping(Oid server, const VoxAuditRole *role);

/*
 * Report a foreign table that a role under audit can use.
 */
void
voxanne_check_foreign(VoxAudit *audit, VoxTable *table)
{
	Oid			server = GetForeignTable(RelationGetRelid(table->rel))->serverid;
	bool		tenants = table->tenant != InvalidAttrNumber;
	bool	   *reaches = palloc0_array(bool, audit->role_count);
	AclMode    *access = palloc0_array(AclMode, audit->role_count);
	bool		anybody = false;
	VoxAuditFinding finding = {
		.severity = tenants ? VOX_CRITICAL : VOX_INFO,
		.verdict = VOX_LEAK,
		.check = "foreign_table_open",
		.relation = table->name,
		.advice = "A foreign table has no row security: revoke the privileges and show it through a view that tests the tenant.",
	};

	for (int i = 0; i < audit->role_count; i++)
	{
		access[i] = table->granted[i] & VOX_GOVERNED_PRIVILEGES;
		if (audit->roles[i].exempt || (has_mapping(server, NULL) && !has_mapping(server, &audit->roles[i])))
			access[i] = 0;
		reaches[i] = access[i] != 0;
		anybody |= reaches[i];
	}
	if (!anybody)
		return;

	finding.role = voxanne_only_role(audit, reaches);
	finding.detail = psprintf("%s open to %s: no policy can bind who uses a foreign table.",
							  tenants ? "Every tenant's rows are" : "Every row is", voxanne_role_words(audit, reaches, ", "));
	finding.remedy = voxanne_revocations(audit, table, access);
	finding.metadata = voxanne_json_access(audit, access);
	voxanne_audit_report(audit, &finding);
}

/* Has the role a user mapping for the server, or has PUBLIC; for NULL: has anybody? */
static bool
has_mapping(Oid server, const VoxAuditRole *role)
{
	Relation	catalog = table_open(UserMappingRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&key, Anum_pg_user_mapping_umserver, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(server));
	scan = systable_beginscan(catalog, InvalidOid, false, NULL, 1, &key);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Oid			user = ((Form_pg_user_mapping) GETSTRUCT(tuple))->umuser;

		found = role == NULL || !OidIsValid(user) || user == role->oid;
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}
