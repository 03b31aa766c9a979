/*
 * src/data/scan_question.c
 *		The data checks' questions as the scan engine takes them.
 *
 * What the engine returns may be too much, never too little: a condition that it
 * does not know is left to the SQL that follows.  Only a reference's "checked"
 * is taken from it, so there all conditions must be known.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "core/compat.h"
#include "core/relation.h"
#include "core/settings.h"
#include "data/executor.h"
#include "data/invalid.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/* The length of an appointment that does not state one, in minutes: as booking_sql.c has it. */
#define DEFAULT_MINUTES 30

static const char *begin(VoxScanQuestion *question, VoxScanKind kind, const VoxTable *table);
static void set_key(VoxScanKey *key, const VoxTable *table);
static void add_column(VoxScanKey *key, AttrNumber attnum, VoxScanForm form, bool null_equal);
static void skip_deleted(VoxScanKey *key, const VoxTable *table);
static void add_skip(VoxScanKey *key, AttrNumber attnum, VoxSkipKind kind, int64 operand);
static void skip_inactive(VoxScanQuestion *question, const VoxBookingQuestion *booking);
static void set_times(VoxScanQuestion *question, const VoxBookingQuestion *booking);
static const char *not_stored(const VoxScanQuestion *question);

/*
 * A reference: which rows have no parent, and those that only SQL can judge.
 */
const char *
voxanne_scan_reference(const VoxReference *reference, bool live_only, VoxScanQuestion *question)
{
	VoxTable	child;
	VoxTable	parent;
	const char *reason;

	voxanne_table_describe(&child, reference->child);
	voxanne_table_describe(&parent, reference->parent);
	reason = begin(question, VOX_SCAN_REFERENCE, &child);
	if (reason == NULL && parent.distributed)
		reason = "A distributed engine keeps the rows of the parent.";
	if (reason != NULL)
		return reason;
	set_key(&question->parent, &parent);
	question->match_full = reference->match_full && reference->natts > 1;
	for (int i = 0; i < reference->natts; i++)
	{
		if (reference->comparison == VOX_COMPARE_OPERATOR)
			question->operators[i] = reference->operators[i];
		add_column(&question->key, reference->child_atts[i],
				   reference->comparison == VOX_COMPARE_CHILD_TEXT ? VOX_FORM_UUID : VOX_FORM_VALUE, false);
		add_column(&question->parent, reference->parent_atts[i],
				   reference->comparison == VOX_COMPARE_PARENT_TEXT ? VOX_FORM_UUID : VOX_FORM_VALUE, false);
	}
	if (live_only)
		skip_deleted(&question->key, &child);
	return not_stored(question);
}

/*
 * A fault of the parents that a reference leads to: which rows have a parent
 * with it, or none without it.
 */
const char *
voxanne_scan_parent(const VoxReference *reference, VoxParentFault fault, bool live_only,
					VoxScanQuestion *question)
{
	VoxReference key;
	VoxTable	parent;
	const char *reason;

	if (fault == VOX_PARENT_OTHER_TENANT)
		return voxanne_tenant_key(reference, &key) ? voxanne_scan_reference(&key, live_only, question) :
			"No foreign key could have the tenant in it.";
	voxanne_table_describe(&parent, reference->parent);
	reason = voxanne_scan_reference(reference, true, question);
	if (reason != NULL)
		return reason;
	/* few parents are deleted, as a rule: their keys are soon collected */
	skip_deleted(&question->parent, &parent);
	question->parent.only_skipped = question->hits = true;
	return not_stored(question);
}

/*
 * A key: which rows share theirs with another one.
 */
const char *
voxanne_scan_key(const VoxKeyQuestion *key, VoxScanQuestion *question)
{
	const char *reason = begin(question, VOX_SCAN_UNIQUE, &key->table);
	ListCell   *lc;

	if (reason != NULL)
		return reason;
	foreach(lc, key->columns)
		add_column(&question->key, lfirst_int(lc), VOX_FORM_VALUE, !key->nulls_distinct);
	if (key->live_only)
		skip_deleted(&question->key, &key->table);
	return not_stored(question);
}

/*
 * Appointments on one axis: which meet another one of the same tenant and
 * person.
 */
const char *
voxanne_scan_booking(const VoxBookingQuestion *booking, VoxBookingAxis axis, VoxScanQuestion *question)
{
	static const VoxBookingRole persons[VOX_BOOKING_AXES] = {
		[VOX_AXIS_CONTACT] = VOX_ROLE_CONTACT,
		[VOX_AXIS_PROVIDER] = VOX_ROLE_PROVIDER,
		[VOX_AXIS_ORG] = VOX_ROLE_TENANT,
	};
	AttrNumber	tenant = booking->columns[VOX_ROLE_TENANT];
	AttrNumber	provider = booking->columns[VOX_ROLE_PROVIDER];
	const char *reason = begin(question, VOX_SCAN_OVERLAP, &booking->table);

	if (reason == NULL && (axis == VOX_AXIS_PHONE || axis == VOX_AXIS_EMAIL))
		reason = "The key is an expression.";
	if (reason == NULL && booking->one_tenant && voxanne_executor == VOX_EXECUTOR_AUTO)
		reason = "One tenant's rows are better found by an index.";
	if (reason != NULL)
		return reason;

	set_times(question, booking);
	if (tenant != InvalidAttrNumber && axis != VOX_AXIS_ORG)
		add_column(&question->key, tenant, VOX_FORM_VALUE, true);
	add_column(&question->key, booking->columns[persons[axis]], VOX_FORM_VALUE, false);
	if (axis == VOX_AXIS_ORG && provider != InvalidAttrNumber)
		add_skip(&question->key, provider, VOX_SKIP_NOT_NULL, 0);
	if (booking->live_only)
		skip_deleted(&question->key, &booking->table);
	skip_inactive(question, booking);
	return not_stored(question);
}

/*
 * Our rules (VoxInvalidRule *) about a table's values.
 */
const char *
voxanne_scan_rules(const VoxTable *table, List *rules, bool live_only, VoxScanQuestion *question)
{
	const char *reason = begin(question, VOX_SCAN_RULES, table);
	ListCell   *lc;

	foreach(lc, rules)
	{
		const VoxInvalidRule *rule = lfirst(lc);
		VoxScanRule *scanned = palloc_object(VoxScanRule);

		if (reason != NULL)
			return reason;
		scanned->columns = rule->columns;
		reason = voxanne_scan_condition(table->relid, rule->valid, &scanned->valid);
		question->rules = lappend(question->rules, scanned);
	}
	if (live_only)
		skip_deleted(&question->key, table);
	return reason == NULL ? not_stored(question) : reason;
}

/*
 * The labels that a text column holds.
 */
const char *
voxanne_scan_labels(const VoxTable *table, AttrNumber attnum, bool live_only, VoxScanQuestion *question)
{
	const char *reason = begin(question, VOX_SCAN_LABELS, table);
	Oid			type = getBaseType(voxanne_column_type(table->relid, attnum));

	if (reason == NULL && type != TEXTOID && type != VARCHAROID)
		reason = "The scan counts labels of type text only.";
	if (reason != NULL)
		return reason;
	add_column(&question->key, attnum, VOX_FORM_VALUE, false);
	if (live_only)
		skip_deleted(&question->key, table);
	return not_stored(question);
}

/* Start a question; the rows it finds will be read by their places, which takes the right to read all columns. */
static const char *
begin(VoxScanQuestion *question, VoxScanKind kind, const VoxTable *table)
{
	memset(question, 0, sizeof(*question));
	question->kind = kind;
	set_key(&question->key, table);
	if (table->distributed)
		return "A distributed engine keeps the rows.";
	if (pg_class_aclcheck(table->relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		return "The caller may not read all columns.";
	return NULL;
}

static void
set_key(VoxScanKey *key, const VoxTable *table)
{
	key->relid = table->relid;
	key->only = !table->partitioned;
	key->ncols = 0;
}

static void
add_column(VoxScanKey *key, AttrNumber attnum, VoxScanForm form, bool null_equal)
{
	VoxScanColumn *column = &key->cols[key->ncols++];

	column->attnum = attnum;
	column->form = form;
	column->null_equal = null_equal;
}

static void
skip_deleted(VoxScanKey *key, const VoxTable *table)
{
	ListCell   *lc;

	foreach(lc, table->soft_delete)
	{
		const VoxSoftDelete *how = lfirst(lc);

		add_skip(key, voxanne_find_column(table->relid, how->column),
				 how->is_time ? VOX_SKIP_NOT_NULL : VOX_SKIP_TRUE, 0);
	}
}

static void
add_skip(VoxScanKey *key, AttrNumber attnum, VoxSkipKind kind, int64 operand)
{
	VoxScanSkip *skip = &key->skips[key->nskips++];

	Assert(key->nskips <= VOX_MAX_SKIPS);
	skip->attnum = attnum;
	skip->kind = kind;
	skip->operand = operand;
}

/* Pass over the labels of an enum that make an appointment take no time. */
static void
skip_inactive(VoxScanQuestion *question, const VoxBookingQuestion *booking)
{
	AttrNumber	column = booking->columns[VOX_ROLE_STATUS];
	Oid			type;

	if (column == InvalidAttrNumber)
		return;
	type = getBaseType(voxanne_column_type(booking->table.relid, column));
	if (!type_is_enum(type))
		return;
	for (int i = 0; voxanne_inactive_labels[i] != NULL; i++)
	{
		Oid			label = GetSysCacheOid2(ENUMTYPOIDNAME, Anum_pg_enum_oid, ObjectIdGetDatum(type),
											CStringGetDatum(voxanne_inactive_labels[i]));

		if (OidIsValid(label))
			add_skip(&question->key, column, VOX_SKIP_EQUAL, (int32) label);
	}
}

/* When a row's time starts and ends. */
static void
set_times(VoxScanQuestion *question, const VoxBookingQuestion *booking)
{
	Oid			relid = booking->table.relid;
	const AttrNumber *columns = booking->columns;

	question->start = columns[VOX_ROLE_START];
	question->default_minutes = DEFAULT_MINUTES;
	question->ranges = booking->overlapping;
	question->slack = voxanne_interval_bound(DatumGetIntervalP(booking->tolerance));
	question->length = columns[VOX_ROLE_MINUTES] != InvalidAttrNumber ? columns[VOX_ROLE_MINUTES] :
		columns[VOX_ROLE_LENGTH];
	if (question->length == InvalidAttrNumber)
		question->end = columns[VOX_ROLE_END];

	/*
	 * when a time without time zone is, the scan only knows where it takes it
	 * as a start
	 */
	if (booking->has_since && getBaseType(voxanne_column_type(relid, question->start)) == TIMESTAMPTZOID)
		add_skip(&question->key, question->start, VOX_SKIP_BEFORE, booking->since);
}

/* A virtual generated column is not in the rows that a scan sees. */
static const char *
not_stored(const VoxScanQuestion *question)
{
	const VoxScanKey *keys[] = {&question->key, &question->parent};
	AttrNumber	others[] = {question->start, question->end, question->length};

	for (int k = 0; k < (int) lengthof(keys); k++)
	{
		for (int i = 0; i < keys[k]->ncols; i++)
			if (voxanne_is_virtual(keys[k]->relid, keys[k]->cols[i].attnum))
				return "A column is computed when it is read.";
		for (int i = 0; i < keys[k]->nskips; i++)
			if (voxanne_is_virtual(keys[k]->relid, keys[k]->skips[i].attnum))
				return "A column is computed when it is read.";
	}
	for (int i = 0; i < (int) lengthof(others); i++)
		if (others[i] != 0 && voxanne_is_virtual(question->key.relid, others[i]))
			return "A column is computed when it is read.";
	return NULL;
}
