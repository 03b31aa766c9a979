/*
 * src/data/orphan_row.c
 *		The rows that find_orphans() returns.
 */
#include "postgres.h"

#include "core/compat.h"
#include "core/relation.h"
#include "data/orphan_row.h"
#include "data/run.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* find_orphans()'s own columns, after the finding's. */
enum
{
	COL_CHILD, COL_CHILD_COLUMNS, COL_PARENT, COL_PARENT_COLUMNS, COL_SOURCE, COL_KIND,
	COL_ORPHANS, COL_CHECKED, COL_CONFIDENCE, COL_SAMPLE, COL_CONSTRAINT_NAME,
	OWN_COLS
};

static void fill_reference(const VoxReference *reference, Datum *own, bool *own_null);

/* Add a finding about the reference; counts below 0 and a sample of NULL are null. */
void
voxanne_orphan_row(VoxSink *sink, const VoxReference *reference, const VoxFinding *finding,
				   const char *kind, int64 count, int64 checked, int score, Jsonb *sample)
{
	Datum		own[OWN_COLS];
	bool		own_null[OWN_COLS];

	fill_reference(reference, own, own_null);
	own[COL_KIND] = CStringGetTextDatum(kind);
	own[COL_ORPHANS] = Int64GetDatum(count);
	own[COL_CHECKED] = Int64GetDatum(checked);
	own[COL_CONFIDENCE] = Float4GetDatum((float4) score / 100);
	own[COL_SAMPLE] = JsonbPGetDatum(sample);
	own_null[COL_KIND] = own_null[COL_CONFIDENCE] = false;
	own_null[COL_ORPHANS] = count < 0;
	own_null[COL_CHECKED] = checked < 0;
	own_null[COL_SAMPLE] = sample == NULL;
	voxanne_sink_add(sink, finding, own, own_null);
}

/*
 * A reference that could not be checked, or one question about it, "kind" (NULL:
 * all of them).
 */
void
voxanne_orphan_skip(VoxSink *sink, const VoxReference *reference, const char *kind, const char *reason)
{
	char	   *object = voxanne_reference_object(reference);
	char	   *discriminator = voxanne_reference_discriminator(reference);
	Datum		own[OWN_COLS];
	bool		own_null[OWN_COLS];
	VoxFinding	finding = {
		.severity = VOX_WARNING,
		.object = object,
		.detail = reason,
		.advice = "Call find_orphans() again once that is settled: this reference may have orphans.",
		.key = voxanne_finding_key("check_skipped", object,
								   kind == NULL ? discriminator : psprintf("%s:%s", discriminator, kind)),
	};

	fill_reference(reference, own, own_null);
	own[COL_KIND] = CStringGetTextDatum("skipped");
	own_null[COL_KIND] = false;
	voxanne_sink_add(sink, &finding, own, own_null);
}

/* The columns that say which reference it is; the others null. */
static void
fill_reference(const VoxReference *reference, Datum *own, bool *own_null)
{
	char	   *child = voxanne_relation_name(reference->child);
	char	   *parent = voxanne_relation_name(reference->parent);
	char	   *constraint = OidIsValid(reference->constraint) ? get_constraint_name(reference->constraint) : NULL;

	memset(own_null, true, sizeof(bool) * OWN_COLS);
	if (child != NULL)
	{
		own[COL_CHILD] = CStringGetTextDatum(child);
		own[COL_CHILD_COLUMNS] = voxanne_name_array(reference->child, voxanne_reference_columns(reference, false));
		own_null[COL_CHILD] = own_null[COL_CHILD_COLUMNS] = false;
	}
	if (parent != NULL)
	{
		own[COL_PARENT] = CStringGetTextDatum(parent);
		own[COL_PARENT_COLUMNS] = voxanne_name_array(reference->parent, voxanne_reference_columns(reference, true));
		own_null[COL_PARENT] = own_null[COL_PARENT_COLUMNS] = false;
	}
	own[COL_SOURCE] = CStringGetTextDatum(voxanne_reference_source(reference->source));
	own_null[COL_SOURCE] = false;
	if (constraint != NULL)
	{
		own[COL_CONSTRAINT_NAME] = DirectFunctionCall1(namein, CStringGetDatum(constraint));
		own_null[COL_CONSTRAINT_NAME] = false;
	}
}
