/*
 * src/core/finding.c
 *		The one sink for findings.
 *
 * Every LOOK function returns rows that contain the six columns severity,
 * object, detail, advice, remedy, key side by side, with columns of its own
 * around them.  Going through one sink is what keeps the six alike everywhere,
 * the order of rows total and a check that could not run visible.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_proc.h"
#include "common/hashfn.h"
#include "core/compat.h"
#include "core/extension.h"
#include "core/finding.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/catcache.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

/* The columns of a function that passes findings of others on, after the six. */
enum
{
	PASSED_CHECK, PASSED_RUNBOOK, PASSED_METADATA,
	PASSED_COLS
};

/* One row on its way to the tuplestore; everything in it lives in the sink's context. */
typedef struct SinkRow
{
	VoxFinding	finding;
	Datum	   *values;			/* the function's own columns, or NULL: all
								 * null */
	bool	   *nulls;
	int			serial;			/* order of arrival, the last tie-break */
} SinkRow;

static void copy_own(VoxSink *sink, SinkRow *row, TupleDesc desc, const Datum *own, const bool *own_null);
static void pass_on(VoxSink *sink, SinkRow *row, const Datum *own, const bool *own_null);
static Oid	enum_label_oid(Oid enumtype, const char *label);
static char *copy_text(const char *text);
static int	compare_rows(const ListCell *a, const ListCell *b);
static int	compare_text(const char *a, const char *b);
static void put_row(VoxSink *sink, const SinkRow *row);

/*
 * Prepare to return a set of findings from the calling C function, in
 * materialize mode.  The function's row type must have a column "severity" of
 * the enum, followed by the other five.  ERROR where a set cannot be returned.
 */
void
voxanne_sink_open(VoxSink *sink, FunctionCallInfo fcinfo)
{
	TupleDesc	desc;
	Oid			enumtype = InvalidOid;

	InitMaterializedSRF(fcinfo, 0);
	memset(sink, 0, sizeof(*sink));
	sink->rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	desc = sink->rsinfo->setDesc;

	for (sink->first = 0; sink->first < desc->natts; sink->first++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, sink->first);

		if (strcmp(NameStr(att->attname), "severity") == 0)
		{
			enumtype = att->atttypid;
			break;
		}
	}
	if (!OidIsValid(enumtype) || sink->first + VOX_FINDING_COLS > desc->natts)
		elog(ERROR, "function's row type does not hold a finding");

	sink->own_cols = desc->natts - VOX_FINDING_COLS;
	for (int i = 0; i < VOX_SEVERITY_COUNT; i++)
		sink->severities[i] =
			ObjectIdGetDatum(enum_label_oid(enumtype, voxanne_severity_name((VoxSeverity) i)));
	sink->context = AllocSetContextCreate(CurrentMemoryContext, "voxanne_ops findings",
										  ALLOCSET_DEFAULT_SIZES);
}

/*
 * Take a finding.  "own" holds the function's columns other than the six, left
 * to right, sink->own_cols of them; NULL: all null.  Everything is copied.
 */
void
voxanne_sink_add(VoxSink *sink, const VoxFinding *finding,
				 const Datum *own, const bool *own_null)
{
	MemoryContext old = MemoryContextSwitchTo(sink->context);
	SinkRow    *row = palloc0_object(SinkRow);

	row->finding.severity = finding->severity;
	row->finding.object = copy_text(finding->object);
	row->finding.detail = copy_text(finding->detail);
	row->finding.advice = copy_text(finding->advice);
	row->finding.remedy = copy_text(finding->remedy);
	row->finding.key = copy_text(finding->key);
	row->serial = list_length(sink->rows);

	if (sink->passed != NULL)
		pass_on(sink, row, own, own_null);
	else if (own != NULL)
		copy_own(sink, row, sink->rsinfo->setDesc, own, own_null);

	sink->rows = lappend(sink->rows, row);
	sink->count[finding->severity]++;
	MemoryContextSwitchTo(old);
}

/* The function's own columns. */
static void
copy_own(VoxSink *sink, SinkRow *row, TupleDesc desc, const Datum *own, const bool *own_null)
{
	row->values = palloc0_array(Datum, sink->own_cols);
	row->nulls = palloc_array(bool, sink->own_cols);
	for (int i = 0; i < sink->own_cols; i++)
	{
		int			col = i < sink->first ? i : i + VOX_FINDING_COLS;
		Form_pg_attribute att = TupleDescAttr(desc, col);

		row->nulls[i] = own_null[i];
		if (!own_null[i])
			row->values[i] = datumCopy(own[i], att->attbyval, att->attlen);
	}
}

/*
 * From now on findings come with the own columns of another function of the
 * extension, and are passed on with check_name, runbook and metadata, which are
 * the last columns of this one: metadata is an object of those columns.
 */
void
voxanne_sink_pass_on(VoxSink *sink, const char *function, const char *runbook)
{
	MemoryContext old = MemoryContextSwitchTo(sink->context);
	CatCList   *list = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(function));
	Oid			schema = voxanne_extension_schema(NULL);
	TupleDesc	desc = NULL;

	for (int i = 0; i < list->n_members && desc == NULL; i++)
	{
		HeapTuple	tuple = &list->members[i]->tuple;

		if (((Form_pg_proc) GETSTRUCT(tuple))->pronamespace == schema)
			desc = build_function_result_tupdesc_t(tuple);
	}
	ReleaseSysCacheList(list);
	if (desc == NULL || sink->first != 0 || sink->own_cols != PASSED_COLS)
		elog(ERROR, "findings of %s() cannot be passed on", function);

	sink->passed = CreateTemplateTupleDesc(desc->natts - VOX_FINDING_COLS);
	for (int i = VOX_FINDING_COLS; i < desc->natts; i++)
		TupleDescCopyEntry(sink->passed, i - VOX_FINDING_COLS + 1, desc, i + 1);
	sink->passed = BlessTupleDesc(sink->passed);
	sink->runbook = runbook;
	MemoryContextSwitchTo(old);
}

/* A finding of another function, as this one returns it. */
static void
pass_on(VoxSink *sink, SinkRow *row, const Datum *own, const bool *own_null)
{
	row->values = palloc0_array(Datum, PASSED_COLS);
	row->nulls = palloc0_array(bool, PASSED_COLS);
	row->values[PASSED_CHECK] = PointerGetDatum(cstring_to_text_with_len(row->finding.key,
																		 strcspn(row->finding.key, ":")));
	row->values[PASSED_RUNBOOK] = CStringGetTextDatum(sink->runbook);
	row->nulls[PASSED_METADATA] = own == NULL;
	if (own != NULL)
	{
		HeapTuple	tuple = heap_form_tuple(sink->passed, unconstify(Datum *, own), unconstify(bool *, own_null));
		Datum		json = DirectFunctionCall1(row_to_json, HeapTupleGetDatum(tuple));

		row->values[PASSED_METADATA] = DirectFunctionCall1(jsonb_in, CStringGetDatum(TextDatumGetCString(json)));
	}
}

/*
 * Report a check that could not run, as a warning: silence would read as
 * "nothing found".  "reason" is a sentence; "discriminator" tells two checks of
 * the same object apart and may be NULL, "advice" too.
 */
void
voxanne_sink_skip(VoxSink *sink, const char *object, const char *discriminator,
				  const char *reason, const char *advice)
{
	VoxFinding	finding = {
		.severity = VOX_WARNING,
		.object = object,
		.detail = reason,
		.advice = advice,
		.key = voxanne_finding_key("check_skipped", object, discriminator),
	};

	voxanne_sink_add(sink, &finding, NULL, NULL);
}

/*
 * Return what was found, most severe first, then by object and key in byte
 * order.  The sink is empty afterwards.
 */
void
voxanne_sink_close(VoxSink *sink)
{
	list_sort(sink->rows, compare_rows);
	voxanne_sink_close_unsorted(sink);
}

/*
 * Return what was found in the order in which it came: for a function whose
 * rows form a tree and who guarantees a total order itself.
 */
void
voxanne_sink_close_unsorted(VoxSink *sink)
{
	ListCell   *lc;

	foreach(lc, sink->rows)
		put_row(sink, (const SinkRow *) lfirst(lc));

	sink->rows = NIL;
	MemoryContextDelete(sink->context);
}

/*
 * Identity of a finding, "check:object[:discriminator]", at most VOX_KEY_MAX
 * bytes: a longer one is cut at a character and ends in "#" and 16 hex digits
 * of a hash of the whole, so that it stays distinct and stable.
 */
char *
voxanne_finding_key(const char *check, const char *object, const char *discriminator)
{
	char	   *key = discriminator == NULL ?
		psprintf("%s:%s", check, object) :
		psprintf("%s:%s:%s", check, object, discriminator);
	int			len = strlen(key);
	int			keep = VOX_KEY_MAX - 17;
	uint64		hash;

	if (len <= VOX_KEY_MAX)
		return key;

	hash = hash_bytes_extended((const unsigned char *) key, len, 0);
	keep = pg_mbcliplen(key, len, keep);
	key[keep] = '\0';
	return psprintf("%s#%016llx", key, (unsigned long long) hash);
}

/*
 * Oid of an enum's label; an internal error if the library and the SQL objects
 * disagree about the labels.
 */
static Oid
enum_label_oid(Oid enumtype, const char *label)
{
	HeapTuple	tuple = SearchSysCache2(ENUMTYPOIDNAME, ObjectIdGetDatum(enumtype),
										CStringGetDatum(label));
	Oid			oid;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "type %u has no enum label \"%s\"", enumtype, label);
	oid = ((Form_pg_enum) GETSTRUCT(tuple))->oid;
	ReleaseSysCache(tuple);
	return oid;
}

static char *
copy_text(const char *text)
{
	return text == NULL ? NULL : pstrdup(text);
}

/* Most severe first, then object, then key, then order of arrival. */
static int
compare_rows(const ListCell *a, const ListCell *b)
{
	const SinkRow *left = lfirst(a);
	const SinkRow *right = lfirst(b);
	int			cmp;

	if (left->finding.severity != right->finding.severity)
		return left->finding.severity > right->finding.severity ? -1 : 1;
	cmp = compare_text(left->finding.object, right->finding.object);
	if (cmp == 0)
		cmp = compare_text(left->finding.key, right->finding.key);
	if (cmp == 0)
		cmp = left->serial - right->serial;
	return cmp;
}

/* Byte order (COLLATE "C"), NULL first. */
static int
compare_text(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return (a != NULL) - (b != NULL);
	return strcmp(a, b);
}

/* Form the tuple of one row and hand it to the tuplestore. */
static void
put_row(VoxSink *sink, const SinkRow *row)
{
	int			natts = sink->own_cols + VOX_FINDING_COLS;
	const char *const text[] = {
		row->finding.object, row->finding.detail, row->finding.advice,
		row->finding.remedy, row->finding.key
	};
	Datum	   *values = palloc0_array(Datum, natts);
	bool	   *nulls = palloc_array(bool, natts);

	memset(nulls, true, natts);
	values[sink->first] = sink->severities[row->finding.severity];
	nulls[sink->first] = false;
	for (int i = 0; i < (int) lengthof(text); i++)
	{
		int			col = sink->first + 1 + i;

		nulls[col] = text[i] == NULL;
		values[col] = text[i] == NULL ? (Datum) 0 : CStringGetTextDatum(text[i]);
	}
	for (int i = 0; row->values != NULL && i < sink->own_cols; i++)
	{
		int			col = i < sink->first ? i : i + VOX_FINDING_COLS;

		values[col] = row->values[i];
		nulls[col] = row->nulls[i];
	}
	tuplestore_putvalues(sink->rsinfo->setResult, sink->rsinfo->setDesc, values, nulls);
	pfree(values);
	pfree(nulls);
}
