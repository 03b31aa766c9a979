/*
 * src/policy/roles.c
 *		Roles to whom no policy applies.
 *
 * Superusers and roles with BYPASSRLS see every tenant.  That is right for an
 * administrator and for Supabase's own services, and a hole where an
 * application logs in as such a role or can become one.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "audit.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "core/compat.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

/*
 * Login roles that are exempt by design.  postgres and the rest are
 * Supabase's (https://supabase.com/docs/guides/database/postgres/roles);
 * authenticator may become service_role, as PostgREST does for the service key.
 */
static const char *const expected_exempt[] = {
	"postgres", "supabase_admin", "supabase_auth_admin", "supabase_etl_admin",
	"supabase_read_only_user", "supabase_replication_admin", "supabase_storage_admin"
};

/*
 * Login roles that are exempt, or may SET ROLE to one that is ("via").  The
 * bootstrap superuser has a fixed oid.
 */
static const char *const exempt_logins =
"SELECT l.rolname, l.rolsuper, l.rolbypassrls, v.via"
" FROM pg_catalog.pg_roles l"
" CROSS JOIN LATERAL (SELECT min(b.rolname COLLATE \"C\") AS via FROM pg_catalog.pg_roles b"
"  WHERE (b.rolsuper OR b.rolbypassrls) AND b.oid <> l.oid"
"  AND NOT (l.rolname = 'authenticator' AND b.rolname = 'service_role')"
"  AND pg_catalog.pg_has_role(l.oid, b.oid, $2)) v"
" WHERE l.rolcanlogin AND l.oid <> $3 AND l.rolname <> ALL ($1)"
" AND (l.rolsuper OR l.rolbypassrls OR v.via IS NOT NULL)"
" ORDER BY l.rolname COLLATE \"C\"";

/* The role that an audited role may become and that is exempt. */
static const char *const exempt_via =
"SELECT min(b.rolname COLLATE \"C\") FROM pg_catalog.pg_roles b"
" WHERE (b.rolsuper OR b.rolbypassrls) AND b.oid <> $1"
" AND pg_catalog.pg_has_role($1, b.oid, $2)";

static void check_logins(VoxAudit *audit);
static void check_audited(VoxAudit *audit, VoxAuditRole *role);
static void report_login(VoxAudit *audit, HeapTuple tuple, TupleDesc desc);
static char *how_exempt(bool superuser, bool bypass, const char *via);
static char *make_subject(const char *shown, bool superuser, bool bypass, const char *via);

/*
 * Report audited roles and login roles that are exempt from row security.
 */
void
voxanne_check_roles(VoxAudit *audit)
{
	SPI_connect();
	for (int i = 0; i < audit->role_count; i++)
		if (audit->roles[i].name != NULL)
			check_audited(audit, &audit->roles[i]);
	check_logins(audit);
	SPI_finish();
}

static void
check_audited(VoxAudit *audit, VoxAuditRole *role)
{
	Oid			argtypes[] = {OIDOID, TEXTOID};
	Datum		args[2];
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role->oid));
	bool		superuser;
	bool		bypass;
	char	   *via = NULL;
	VoxAuditFinding finding = {
		.severity = VOX_CRITICAL,
		.verdict = VOX_LEAK,
		.check = "role_bypasses_rls",
		.object = role->shown,
		.role = role->name,
		.advice = "Take the attribute or the membership away: the application's users act as this role.",
	};

	if (!HeapTupleIsValid(tuple))
		return;
	superuser = ((Form_pg_authid) GETSTRUCT(tuple))->rolsuper;
	bypass = ((Form_pg_authid) GETSTRUCT(tuple))->rolbypassrls;
	ReleaseSysCache(tuple);

	if (!superuser)
	{
		args[0] = ObjectIdGetDatum(role->oid);
		args[1] = CStringGetTextDatum(VOXANNE_MAY_SET_ROLE);
		if (SPI_execute_with_args(exempt_via, 2, argtypes, args, NULL, true, 1) != SPI_OK_SELECT)
			elog(ERROR, "could not list roles");
		via = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	}
	if (!superuser && !bypass && via == NULL)
		return;
	finding.detail = psprintf("%s %s, so no policy applies to it.", role->shown,
							  how_exempt(superuser, bypass, via));
	finding.remedy = make_subject(role->shown, superuser, bypass, via);
	voxanne_audit_report(audit, &finding);
}

static void
check_logins(VoxAudit *audit)
{
	Oid			argtypes[] = {NAMEARRAYOID, TEXTOID, OIDOID};
	Datum		args[3];
	Datum		names[lengthof(expected_exempt)];
	SPITupleTable *found;
	uint64		count;

	for (int i = 0; i < (int) lengthof(expected_exempt); i++)
		names[i] = DirectFunctionCall1(namein, CStringGetDatum(expected_exempt[i]));
	args[0] = PointerGetDatum(construct_array(names, lengthof(expected_exempt), NAMEOID,
											  NAMEDATALEN, false, TYPALIGN_CHAR));
	args[1] = CStringGetTextDatum(VOXANNE_MAY_SET_ROLE);
	args[2] = ObjectIdGetDatum(BOOTSTRAP_SUPERUSERID);
	if (SPI_execute_with_args(exempt_logins, 3, argtypes, args, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not list login roles");
	found = SPI_tuptable;
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
		report_login(audit, found->vals[i], found->tupdesc);
}

static void
report_login(VoxAudit *audit, HeapTuple tuple, TupleDesc desc)
{
	char	   *name = SPI_getvalue(tuple, desc, 1);
	bool		superuser = strcmp(SPI_getvalue(tuple, desc, 2), "t") == 0;
	bool		bypass = strcmp(SPI_getvalue(tuple, desc, 3), "t") == 0;
	char	   *via = superuser ? NULL : SPI_getvalue(tuple, desc, 4);
	const char *shown = pstrdup(quote_identifier(name));
	VoxAuditFinding finding = {
		.severity = VOX_WARNING,
		.verdict = VOX_LEAK,
		.check = "login_bypasses_rls",
		.object = shown,
		.role = name,
		.advice = "If an application logs in as this role, take the attribute or the membership away; for an administrator or a backup it is as it should be.",
	};

	/* an audited role has had its turn */
	for (int i = 0; i < audit->role_count; i++)
		if (audit->roles[i].name != NULL && strcmp(audit->roles[i].name, name) == 0)
			return;
	finding.detail = psprintf("%s can log in and %s: whoever connects as it sees every tenant.", shown,
							  how_exempt(superuser, bypass, via));
	finding.remedy = make_subject(shown, superuser, bypass, via);
	voxanne_audit_report(audit, &finding);
}

static char *
how_exempt(bool superuser, bool bypass, const char *via)
{
	if (superuser)
		return pstrdup("is a superuser");
	if (bypass)
		return pstrdup("has BYPASSRLS");
	return psprintf("may become %s", quote_identifier(via));
}

/* SQL that makes policies apply to the role; NULL for an indirect membership. */
static char *
make_subject(const char *shown, bool superuser, bool bypass, const char *via)
{
	if (superuser || bypass)
		return psprintf("ALTER ROLE %s%s%s;", shown, superuser ? " NOSUPERUSER" : "",
						bypass ? " NOBYPASSRLS" : "");
	return psprintf("REVOKE %s FROM %s;", quote_identifier(via), shown);
}
