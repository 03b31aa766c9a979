/*
 * src/data/infer.c
 *		References that no foreign key declares: candidates by name and type.
 *
 * What names are worth is in the query below: a column of the same name that
 * is a declared reference elsewhere, contact_id -> contacts, org_id ->
 * organizations, created_by -> profiles count 40 of 100, call_id -> call_logs counts 20.  A comparable type
 * adds 30, and the share of the rows whose parent exists up to 30 (see
 * infer_score.c), so a weak name needs most of its rows to have a parent.
 * Candidates below 70 in the end are not reported.
 *
 * Where the primary keys of tables begin with the tenant, an id says nothing
 * without it: then tenant and id together are the reference.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "core/compat.h"
#include "data/distributed.h"
#include "data/incoming.h"
#include "data/reference.h"
#include "data/table.h"
#include "executor/spi.h"
#include "nodes/parsenodes.h"
#include "parser/parse_coerce.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static VoxReference *make_candidate(uint64 row);
static bool add_tenant(VoxReference *reference, AttrNumber child_tenant, AttrNumber parent_tenant, Oid opclass);
static Datum column_value(uint64 row, int column);
static Oid	base_type(Oid relid, AttrNumber attnum);
static Oid	key_operator(Oid opclass, Oid parent_type, Oid child_type);
static bool is_text_type(Oid type);

/*
 * $1: the child, or 0 for all tables of the schemas $2.  One row a column: the
 * likeliest parent.  That one's key is a column, or the tenant's ($4: what it is
 * called) and a column id or of the candidate's name.  A table with foreign
 * rows, which can have no primary key, and one that is distributed ($3), whose
 * key must contain the tenant that a child may lack, are taken to go by their
 * column id.  Passed over: identifiers that other systems hand out, the id of a polymorphic pair (x_id beside x_type), columns that are in a foreign
 * key already, tables of extensions.
 */
static const char *const candidate_query =
"WITH RECURSIVE below AS ("
" SELECT inhparent AS top, inhrelid AS member FROM pg_catalog.pg_inherits"
" UNION SELECT top, inhrelid FROM below JOIN pg_catalog.pg_inherits ON inhparent = member),"
" candidate AS ("
" SELECT c.oid AS child, c.relnamespace AS schema, a.attnum AS child_column, a.attname AS name,"
"  CASE WHEN a.attname LIKE '%\\_id' THEN left(a.attname, -3) ELSE '' END AS stem,"
"  a.attname IN ('created_by', 'updated_by', 'deleted_by', 'user_id') AS is_person,"
"  coalesce((SELECT t.attnum FROM pg_catalog.pg_attribute t WHERE t.attrelid = c.oid AND t.attname::text = ANY ($4)"
"   AND NOT t.attisdropped AND t.attnum <> a.attnum ORDER BY array_position($4, t.attname::text) LIMIT 1), 0)::int4 AS child_tenant"
" FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid"
" WHERE (c.oid = $1 OR $1 = 0 AND c.relnamespace = ANY ($2) AND NOT c.relispartition)"
"  AND c.relkind IN ('r', 'p', 'f')"
"  AND a.attnum > 0 AND NOT a.attisdropped"
"  AND (a.attname LIKE '_%\\_id' OR a.attname IN ('created_by', 'updated_by', 'deleted_by'))"
"  AND a.attname !~ '^(vapi|stripe|twilio|google|external|ext)_'"
"  AND a.attname NOT IN ('job_id', 'event_id', 'session_id', 'request_id', 'message_id')"
"  AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute t WHERE t.attrelid = c.oid AND NOT t.attisdropped"
"   AND t.attname = left(a.attname, -3) || '_type')"
"  AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint f WHERE f.conrelid = c.oid AND f.contype = 'f'"
"   AND a.attnum = ANY (f.conkey))"
"  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass"
"   AND d.objid = c.oid AND d.deptype = 'e')),"
" keyed AS ("
" SELECT p.oid AS parent, p.relname AS parent_name, p.relnamespace AS parent_schema,"
"  n.nspname = 'auth' AS in_auth, i.indkey[0] AS parent_column, i.indclass[0] AS opclass,"
"  ''::name AS key_name, 0 AS tenant_column, 0::pg_catalog.oid AS tenant_class, false AS is_guess"
" FROM pg_catalog.pg_class p JOIN pg_catalog.pg_namespace n ON n.oid = p.relnamespace"
" JOIN pg_catalog.pg_index i ON i.indrelid = p.oid AND i.indisprimary AND i.indisvalid AND i.indnkeyatts = 1"
" WHERE p.relkind IN ('r', 'p') AND NOT p.relispartition"
" UNION ALL"
" SELECT p.oid, p.relname, p.relnamespace, n.nspname = 'auth', i.indkey[own], i.indclass[own],"
"  a.attname, CASE WHEN alone THEN 0 ELSE t.attnum::int4 END, i.indclass[1 - own], false"
" FROM pg_catalog.pg_class p JOIN pg_catalog.pg_namespace n ON n.oid = p.relnamespace"
" JOIN pg_catalog.pg_index i ON i.indrelid = p.oid AND i.indisprimary AND i.indisvalid AND i.indnkeyatts = 2"
" CROSS JOIN generate_series(0, 1) AS own"
" JOIN pg_catalog.pg_attribute a ON a.attrelid = p.oid AND a.attnum = i.indkey[own]"
" JOIN pg_catalog.pg_attribute t ON t.attrelid = p.oid AND t.attnum = i.indkey[1 - own] AND t.attname::text = ANY ($4),"
" LATERAL (SELECT EXISTS (SELECT FROM pg_catalog.pg_index u WHERE u.indrelid = p.oid AND u.indisunique AND u.indisvalid"
"  AND u.indpred IS NULL AND u.indnkeyatts = 1 AND u.indkey[0] = i.indkey[own])) AS by_itself (alone)"
" WHERE p.relkind IN ('r', 'p') AND NOT p.relispartition"
" UNION ALL"
" SELECT p.oid, p.relname, p.relnamespace, n.nspname = 'auth', a.attnum, 0, '', 0, 0, true"
" FROM pg_catalog.pg_class p JOIN pg_catalog.pg_namespace n ON n.oid = p.relnamespace"
" JOIN pg_catalog.pg_attribute a ON a.attrelid = p.oid AND a.attname = 'id' AND NOT a.attisdropped"
" WHERE NOT p.relispartition AND (p.relkind = 'f' OR p.relkind = 'p' AND EXISTS (SELECT"
"  FROM below JOIN pg_catalog.pg_class l ON l.oid = member WHERE top = p.oid AND l.relkind = 'f')"
"  OR p.oid = ANY ($3) AND NOT EXISTS (SELECT FROM pg_catalog.pg_index i"
"   WHERE i.indrelid = p.oid AND i.indisprimary AND i.indisvalid AND i.indnkeyatts = 1))),"
" declared AS ("
" SELECT a.attname AS name, f.confrelid AS parent, count(*) AS uses"
" FROM pg_catalog.pg_constraint f"
" JOIN pg_catalog.pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]"
" WHERE f.contype = 'f' AND f.conparentid = 0 AND cardinality(f.conkey) = 1 GROUP BY 1, 2),"
" ranked AS ("
" SELECT child, child_column, parent, parent_column, opclass, parent_name, coalesce(uses, 0) AS uses,"
"  CASE WHEN tenant_column > 0 THEN child_tenant ELSE 0 END AS child_tenant, tenant_column, tenant_class,"
"  CASE WHEN parent_schema <> schema AND parent_schema <> ALL ($2) AND NOT (in_auth AND is_person) THEN NULL"
"  WHEN uses > 0 THEN 1"
"  WHEN parent_name IN (stem, stem || 's', stem || 'es', regexp_replace(stem, 'y$', 'ies'))"
"   OR stem = 'org' AND parent_name ~ '^organi[sz]ations?$'"
"   THEN CASE WHEN parent_schema = schema THEN 2 WHEN NOT in_auth THEN 3 END"
"  WHEN is_person AND parent_name = 'profiles' AND parent_schema = schema THEN 4"
"  WHEN is_person AND parent_name = 'users' AND in_auth THEN 5"
"  WHEN stem <> '' AND left(parent_name, length(stem) + 1) = stem || '_' AND parent_schema = schema THEN 6"
"  END AS rank"
" FROM candidate CROSS JOIN keyed LEFT JOIN declared USING (name, parent)"
" WHERE (child <> parent OR child_column <> parent_column)"
"  AND (key_name IN ('', 'id') OR key_name = name) AND (tenant_column = 0 OR child_tenant > 0)"
"  AND NOT (is_guess AND child_tenant > 0 AND EXISTS ("
"   SELECT FROM keyed AS k WHERE k.parent = keyed.parent AND k.key_name = 'id' AND k.tenant_column > 0))),"
" counted AS ("
" SELECT *, count(*) OVER (PARTITION BY child, child_column, rank) AS alike FROM ranked WHERE rank IS NOT NULL)"
" SELECT DISTINCT ON (child, child_column) child, child_column, parent, parent_column, opclass, rank,"
"  child_tenant, tenant_column, tenant_class"
" FROM counted WHERE rank < 6 OR alike = 1"
" ORDER BY child, child_column, rank, uses DESC, parent_name, parent";

/* What a candidate's rank in that query is worth, of 100. */
#define STRONG_NAME 40
#define WEAK_NAME 20
#define WEAK_RANK 6

/*
 * The likely references (VoxReference *) of a table, or with InvalidOid of all
 * tables in the schemas, whose types can be compared.  Settings must be pinned.
 */
List *
voxanne_inferred_references(Oid child, List *schemas)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[] = {OIDOID, OIDARRAYOID, OIDARRAYOID, TEXTARRAYOID};
	Datum		values[4];
	List	   *distributed = NIL;
	ListCell   *lc;
	List	   *references = NIL;

	SPI_connect();
	values[0] = ObjectIdGetDatum(child);
	values[1] = voxanne_oid_array(schemas);
	foreach(lc, voxanne_distributions())
		distributed = lappend_oid(distributed, ((VoxDistribution *) lfirst(lc))->relid);
	values[2] = voxanne_oid_array(distributed);
	values[3] = voxanne_text_array(voxanne_tenant_names());
	if (SPI_execute_with_args(candidate_query, 4, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not list likely references");

	MemoryContextSwitchTo(context);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		VoxReference *reference = make_candidate(row);

		if (reference != NULL)
			references = lappend(references, reference);
	}
	SPI_finish();
	return references;
}

/* Oids as a parameter of a query. */
Datum
voxanne_oid_array(List *oids)
{
	Datum	   *elements = palloc_array(Datum, list_length(oids) + 1);
	int			count = 0;
	ListCell   *lc;

	foreach(lc, oids)
		elements[count++] = ObjectIdGetDatum(lfirst_oid(lc));
	return PointerGetDatum(construct_array(elements, count, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
}

/*
 * A row of the query as a reference; NULL if the types cannot be compared, or
 * are enums: labels are no identifiers.
 */
static VoxReference *
make_candidate(uint64 row)
{
	VoxReference *reference = palloc0_object(VoxReference);
	AttrNumber	child_tenant = (AttrNumber) DatumGetInt32(column_value(row, 7));

	reference->source = VOX_REFERENCE_INFERRED;
	reference->child = DatumGetObjectId(column_value(row, 1));
	reference->child_atts[0] = DatumGetInt16(column_value(row, 2));
	reference->parent = DatumGetObjectId(column_value(row, 3));
	reference->parent_atts[0] = DatumGetInt16(column_value(row, 4));
	reference->name_score = DatumGetInt32(column_value(row, 6)) < WEAK_RANK ? STRONG_NAME : WEAK_NAME;
	reference->natts = 1;
	reference->on_delete = FKCONSTR_ACTION_NOACTION;
	if (get_typtype(base_type(reference->child, reference->child_atts[0])) == TYPTYPE_ENUM ||
		!voxanne_reference_compare(reference, DatumGetObjectId(column_value(row, 5))))
		return NULL;
	if (child_tenant != InvalidAttrNumber &&
		!add_tenant(reference, child_tenant, (AttrNumber) DatumGetInt32(column_value(row, 8)), DatumGetObjectId(column_value(row, 9))))
		return NULL;
	return reference;
}

/* Put the tenants in front of the one column; false where no foreign key can compare both. */
static bool
add_tenant(VoxReference *reference, AttrNumber child_tenant, AttrNumber parent_tenant, Oid opclass)
{
	VoxReference tenants = *reference;

	tenants.child_atts[0] = child_tenant;
	tenants.parent_atts[0] = parent_tenant;
	if (reference->comparison != VOX_COMPARE_OPERATOR || !voxanne_reference_compare(&tenants, opclass) ||
		tenants.comparison != VOX_COMPARE_OPERATOR)
		return false;
	tenants.child_atts[1] = reference->child_atts[0];
	tenants.parent_atts[1] = reference->parent_atts[0];
	tenants.operators[1] = reference->operators[0];
	tenants.natts = 2;
	*reference = tenants;
	return true;
}

/* A column of a row that the query found; none is null. */
static Datum
column_value(uint64 row, int column)
{
	bool		isnull;

	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);
}

/*
 * Decide how the first column of child and parent are compared, where the
 * parent's is indexed by a B-tree operator class (InvalidOid: its type's default
 * one); false if they cannot be.
 */
bool
voxanne_reference_compare(VoxReference *reference, Oid opclass)
{
	Oid			child_type = base_type(reference->child, reference->child_atts[0]);
	Oid			parent_type = base_type(reference->parent, reference->parent_atts[0]);

	if (!OidIsValid(child_type) || !OidIsValid(parent_type))
		return false;
	if (!OidIsValid(opclass))
		opclass = GetDefaultOpClass(parent_type, BTREE_AM_OID);
	reference->operators[0] = key_operator(opclass, parent_type, child_type);
	if (OidIsValid(reference->operators[0]))
		reference->comparison = VOX_COMPARE_OPERATOR;
	else if (parent_type == UUIDOID && is_text_type(child_type))
		reference->comparison = VOX_COMPARE_CHILD_TEXT;
	else if (child_type == UUIDOID && is_text_type(parent_type))
		reference->comparison = VOX_COMPARE_PARENT_TEXT;
	else
		return false;
	return true;
}

/* A column's type, of a domain the one below; InvalidOid once column or type are dropped, as nobody has locked them yet. */
static Oid
base_type(Oid relid, AttrNumber attnum)
{
	Oid			type = voxanne_column_type(relid, attnum);

	return SearchSysCacheExists1(TYPEOID, ObjectIdGetDatum(type)) ? getBaseType(type) : InvalidOid;
}

/*
 * The operator by which a foreign key on a column of child_type would look up
 * a primary key of that operator class, without calling a cast function;
 * InvalidOid if there is none.
 */
static Oid
key_operator(Oid opclass, Oid parent_type, Oid child_type)
{
	Oid			family;
	Oid			input;
	Oid			operator;

	if (!get_opclass_opfamily_and_input_type(opclass, &family, &input))
		return InvalidOid;
	operator = get_opfamily_member(family, input, child_type, BTEqualStrategyNumber);
	if (!OidIsValid(operator) && IsBinaryCoercible(child_type, input) &&
		(!IsPolymorphicType(input) || child_type == parent_type))
		operator = get_opfamily_member(family, input, input, BTEqualStrategyNumber);
	return operator;
}

static bool
is_text_type(Oid type)
{
	return type == TEXTOID || type == VARCHAROID || type == BPCHAROID;
}
