/*
 * src/data/find_invalid_data.c
 *		find_invalid_data(): values that cannot be right.
 *
 * A table's rules are one check, answered in one pass; each constraint of a
 * user is a check of its own, because its expression may fail, and must run as
 * somebody else.  A check that cannot run is a finding and hides no other.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "core/attempt.h"
#include "core/compat.h"
#include "core/finding.h"
#include "core/privileges.h"
#include "core/relation.h"
#include "data/executor.h"
#include "data/invalid.h"
#include "data/run.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* find_invalid_data()'s own columns, after the finding's. */
enum
{
	COL_KIND, COL_RELATION, COL_COLUMNS, COL_ROWS, COL_CHECKED, COL_SAMPLE, COL_CONSTRAINT_NAME,
	OWN_COLS
};

/* A minority: at most one row in this many. */
#define MINORITY_SHARE 20

typedef struct InvalidRun
{
	VoxSink		sink;
	bool		include_deleted;
	int			max_rows;

	/* the check that runs */
	const VoxInvalidTarget *target;
	AttrNumber	label;			/* the column whose labels are looked at, or
								 * InvalidAttrNumber */
	const VoxInvalidRule *constraint;	/* both not set: all rules of ours */
	List	   *constraint_names;	/* proposed so far for the target */
} InvalidRun;

static void check_target(InvalidRun *run);
static void attempt(InvalidRun *run, char *(*how) (VoxAttempt, void *), VoxAttempt check);
static void check_rules(void *state);
static void check_labels(void *state);
static void answer_rules(InvalidRun *run, const VoxTable *table, List *rules);
static void check_constraint(void *state);
static void ask_constraint(InvalidRun *run, const VoxTable *table);
static List *columns_read(const VoxTable *table, List *rules);
static bool worth_reporting(const VoxInvalidRule *rule, const VoxInvalidAnswer *answer);
static bool mostly_broken(const VoxInvalidRule *rule, const VoxInvalidAnswer *answer);
static void report_rule(InvalidRun *run, const VoxTable *table, const VoxInvalidRule *rule,
						const VoxInvalidAnswer *answer);
static void report_constraint(InvalidRun *run, const VoxTable *table, const VoxInvalidAnswer *answer,
							  int64 below);
static void report(InvalidRun *run, const VoxTable *table, const VoxInvalidRule *rule,
				   const VoxInvalidAnswer *answer, VoxFinding *finding, bool live_only);
static void report_skip(InvalidRun *run, const char *reason);
static char *rule_object(const VoxTable *table, const VoxInvalidRule *rule);
static char *check_statement(InvalidRun *run, const VoxTable *table, const VoxInvalidRule *rule, int64 rows);

VOXANNE_FUNCTION(voxanne_find_invalid_data);

/*
 * find_invalid_data(relation regclass, schemas name[], include_deleted boolean,
 *					 max_rows int)
 *
 * Locks (AccessShareLock, to the end of the transaction) all tables concerned
 * without waiting; those that cannot be locked are skipped.
 */
Datum
voxanne_find_invalid_data(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);
	List	   *schemas = voxanne_argument_schemas(fcinfo, 1);
	InvalidRun	run;
	List	   *targets;
	ListCell   *lc;
	int			nestlevel;

	memset(&run, 0, sizeof(run));
	run.include_deleted = voxanne_argument_bool(fcinfo, 2, "include_deleted");
	run.max_rows = voxanne_argument_count(fcinfo, 3, "max_rows");
	if (OidIsValid(relid))
		voxanne_require_table(relid, "relation");

	nestlevel = voxanne_run_begin(&run.sink, fcinfo);
	targets = voxanne_invalid_targets(relid, schemas);
	voxanne_run_snapshot();
	foreach(lc, targets)
	{
		run.target = lfirst(lc);
		check_target(&run);
	}
	voxanne_run_end(&run.sink, nestlevel, true);
	PG_RETURN_VOID();
}

/* All checks of one table. */
static void
check_target(InvalidRun *run)
{
	ListCell   *lc;

	run->label = InvalidAttrNumber;
	run->constraint = NULL;
	run->constraint_names = NIL;
	if (run->target->refusal != NULL)
	{
		report_skip(run, run->target->refusal);
		return;
	}
	if (run->target->rules != NIL)
		attempt(run, voxanne_attempt, check_rules);
	foreach(lc, run->target->labels)
	{
		run->label = lfirst_int(lc);
		attempt(run, voxanne_attempt, check_labels);
	}
	run->label = InvalidAttrNumber;
	foreach(lc, run->target->constraints)
	{
		run->constraint = lfirst(lc);
		attempt(run, voxanne_attempt_undone, check_constraint);
	}
}

/* One check, if there is time for it. */
static void
attempt(InvalidRun *run, char *(*how) (VoxAttempt, void *), VoxAttempt check)
{
	char	   *failure;

	CHECK_FOR_INTERRUPTS();
	failure = voxanne_out_of_time() ? pstrdup(OUT_OF_TIME) : how(check, run);
	if (failure != NULL)
		report_skip(run, failure);
}

/* Our rules about one table. */
static void
check_rules(void *state)
{
	InvalidRun *run = state;
	VoxTable	table;
	const char *refusal;

	voxanne_table_describe(&table, run->target->relid);
	refusal = voxanne_run_refusal(table.relid, columns_read(&table, run->target->rules));
	if (refusal != NULL)
	{
		report_skip(run, refusal);
		return;
	}
	voxanne_execution_note(table.name, "rules", NULL);
	answer_rules(run, &table, run->target->rules);
}

/* The labels of one column. */
static void
check_labels(void *state)
{
	InvalidRun *run = state;
	VoxTable	table;
	const char *refusal;

	voxanne_table_describe(&table, run->target->relid);
	refusal = voxanne_run_refusal(table.relid, list_append_unique_int(voxanne_table_id_columns(&table), run->label));
	if (refusal != NULL)
	{
		report_skip(run, refusal);
		return;
	}
	voxanne_execution_note(table.name, get_attname(table.relid, run->label, false), NULL);
	answer_rules(run, &table, voxanne_invalid_label_rules(&table, run->label, !run->include_deleted));
}

static void
answer_rules(InvalidRun *run, const VoxTable *table, List *rules)
{
	VoxInvalidAnswer *answers = palloc0_array(VoxInvalidAnswer, list_length(rules) + 1);
	ListCell   *lc;

	voxanne_invalid_ask_sql(table, rules, !run->include_deleted, answers);
	foreach(lc, rules)
	{
		const VoxInvalidAnswer *answer = &answers[foreach_current_index(lc)];

		if (worth_reporting(lfirst(lc), answer))
			report_rule(run, table, lfirst(lc), answer);
	}
}

/* A user's constraint, as whoever may run it. */
static void
check_constraint(void *state)
{
	InvalidRun *run = state;
	const VoxInvalidRule *rule = run->constraint;
	const char *refusal = rule->refusal;
	VoxIdentity identity;
	VoxTable	table;

	voxanne_table_describe(&table, run->target->relid);
	if (refusal == NULL)
		refusal = voxanne_run_refusal(table.relid, rule->columns == NIL ? NIL :
									  columns_read(&table, list_make1(unconstify(VoxInvalidRule *, rule))));
	if (refusal != NULL)
	{
		report_skip(run, refusal);
		return;
	}
	voxanne_execution_note(table.name, rule->constraint_name, NULL);
	if (OidIsValid(rule->run_as))
		voxanne_become(rule->run_as, &identity);
	ask_constraint(run, &table);
	if (OidIsValid(rule->run_as))
		voxanne_become_again(&identity);
}

static void
ask_constraint(InvalidRun *run, const VoxTable *table)
{
	List	   *rules = list_make1(unconstify(VoxInvalidRule *, run->constraint));
	VoxInvalidAnswer answer;
	VoxInvalidAnswer below = {0};

	voxanne_invalid_ask_sql(table, rules, false, &answer);
	if (!table->partitioned && run->constraint->inherited && has_subclass(table->relid))
	{
		VoxTable	family = *table;

		family.from = family.name;
		voxanne_invalid_ask_sql(&family, rules, false, &below);
	}
	report_constraint(run, table, &answer, Max(below.rows - answer.rows, 0));
}

/* The columns that answering these rules and showing rows takes. */
static List *
columns_read(const VoxTable *table, List *rules)
{
	List	   *columns = voxanne_table_id_columns(table);
	ListCell   *lc;

	foreach(lc, rules)
		columns = list_union_int(columns, ((const VoxInvalidRule *) lfirst(lc))->columns);
	return columns;
}

static bool
worth_reporting(const VoxInvalidRule *rule, const VoxInvalidAnswer *answer)
{
	return answer->rows > 0 && !(rule->minority && answer->rows > answer->checked / MINORITY_SHARE);
}

/* Is the guess what a column holds rather wrong than its rows? */
static bool
mostly_broken(const VoxInvalidRule *rule, const VoxInvalidAnswer *answer)
{
	return rule->guessed && answer->rows > answer->checked / 2;
}

static void
report_rule(InvalidRun *run, const VoxTable *table, const VoxInvalidRule *rule, const VoxInvalidAnswer *answer)
{
	bool		doubtful = mostly_broken(rule, answer);
	VoxFinding	finding = {
		.severity = doubtful ? VOX_INFO : rule->severity,
		.object = rule_object(table, rule),
		.advice = rule->advice,
	};

	finding.key = voxanne_finding_key(rule->kind, finding.object, NULL);
	finding.detail = psprintf("%lld of %lld rows of %s have %s%s.",
							  (long long) answer->rows, (long long) answer->checked, table->name, rule->fault,
							  answer->deleted_rows == 0 ? "" :
							  psprintf(", not counting %lld soft-deleted", (long long) answer->deleted_rows));
	if (doubtful)
		finding.advice = "See what the column is for: most of its values are none, so perhaps only its name says so.";
	else if (rule->severity == VOX_WARNING && rule->can_be_check)
	{
		finding.remedy = check_statement(run, table, rule, answer->rows + answer->deleted_rows);
		finding.advice = psprintf("%s The remedy keeps new ones out; until the old ones are corrected, updates of those rows fail too.",
								  rule->advice);
	}
	report(run, table, rule, answer, &finding, !run->include_deleted);
}

/* Also reports that no row violates the constraint: then it can be validated. */
static void
report_constraint(InvalidRun *run, const VoxTable *table, const VoxInvalidAnswer *answer, int64 below)
{
	const VoxInvalidRule *rule = run->constraint;
	const char *name = quote_identifier(rule->constraint_name);
	VoxFinding	finding = {
		.severity = answer->rows > 0 ? rule->severity : VOX_INFO,
		.object = table->name,
		.key = voxanne_finding_key(rule->kind, table->name, rule->constraint_name),
	};

	finding.detail = psprintf("%lld of %lld rows of %s violate constraint %s, which is %s%s.",
							  (long long) answer->rows, (long long) answer->checked, table->name, name,
							  rule->enforced ? "NOT VALID: rows older than it were never checked" : "NOT ENFORCED",
							  below == 0 ? "" : psprintf("; so do %lld rows of its children", (long long) below));
	if (!rule->enforced)
	{
		if (answer->rows == 0)
			return;
		finding.advice = "Correct the rows or drop the constraint: it promises readers what nobody sees to.";
	}
	else if (answer->rows + below > 0)
		finding.advice = psprintf("Correct the rows, of which updates fail until then; after that: ALTER TABLE %s VALIDATE CONSTRAINT %s;",
								  table->name, name);
	else
	{
		finding.advice = "Validate it: that reads the table once and blocks neither readers nor writers.";
		finding.remedy = psprintf("ALTER TABLE %s VALIDATE CONSTRAINT %s;", table->name, name);
	}
	report(run, table, rule, answer, &finding, false);
}

/* Add a finding with the rule's own columns and some rows. */
static void
report(InvalidRun *run, const VoxTable *table, const VoxInvalidRule *rule,
	   const VoxInvalidAnswer *answer, VoxFinding *finding, bool live_only)
{
	Datum		own[OWN_COLS];
	bool		own_null[OWN_COLS] = {false};

	own[COL_KIND] = CStringGetTextDatum(rule->kind);
	own[COL_RELATION] = CStringGetTextDatum(table->name);
	own[COL_COLUMNS] = voxanne_name_array(table->relid, rule->columns);
	own[COL_ROWS] = Int64GetDatum(answer->rows);
	own[COL_CHECKED] = Int64GetDatum(answer->checked);
	own[COL_SAMPLE] = JsonbPGetDatum(voxanne_invalid_sample_sql(table, rule, live_only,
																answer->rows == 0 ? 0 : run->max_rows));
	own_null[COL_CONSTRAINT_NAME] = rule->constraint_name == NULL;
	if (rule->constraint_name != NULL)
		own[COL_CONSTRAINT_NAME] = DirectFunctionCall1(namein, CStringGetDatum(rule->constraint_name));
	voxanne_sink_add(&run->sink, finding, own, own_null);
}

/* The check that is running could not be done. */
static void
report_skip(InvalidRun *run, const char *reason)
{
	char	   *object = voxanne_run_object(run->target->relid);
	const char *constraint = run->constraint == NULL ? NULL : run->constraint->constraint_name;
	const char *label = run->label == InvalidAttrNumber ? NULL : get_attname(run->target->relid, run->label, true);
	Datum		own[OWN_COLS];
	bool		own_null[OWN_COLS];
	VoxFinding	finding = {
		.severity = VOX_WARNING,
		.object = object,
		.detail = reason,
		.advice = "Call find_invalid_data() again once that is settled: this table may hold invalid values.",
		.key = voxanne_finding_key("check_skipped", object, constraint != NULL ? constraint : label),
	};

	memset(own_null, true, sizeof(own_null));
	own[COL_KIND] = CStringGetTextDatum("skipped");
	own[COL_RELATION] = CStringGetTextDatum(object);
	own_null[COL_KIND] = own_null[COL_RELATION] = false;
	if (constraint != NULL)
	{
		own[COL_CONSTRAINT_NAME] = DirectFunctionCall1(namein, CStringGetDatum(constraint));
		own_null[COL_CONSTRAINT_NAME] = false;
	}
	voxanne_sink_add(&run->sink, &finding, own, own_null);
}

/* public.contacts.phone, or public.calls (started_at, ended_at). */
static char *
rule_object(const VoxTable *table, const VoxInvalidRule *rule)
{
	if (list_length(rule->columns) == 1)
		return voxanne_column_name(table->relid, linitial_int(rule->columns));
	return psprintf("%s (%s)", table->name, voxanne_column_list(table->relid, "", rule->columns));
}

/*
 * The statement that makes a rule a constraint of the table.  It does not
 * validate it: rows violate it, how many says the comment.
 */
static char *
check_statement(InvalidRun *run, const VoxTable *table, const VoxInvalidRule *rule, int64 rows)
{
	StringInfoData columns;
	const char *name;
	ListCell   *lc;

	initStringInfo(&columns);
	foreach(lc, rule->columns)
		appendStringInfo(&columns, "%s%s", columns.len > 0 ? "_" : "",
						 get_attname(table->relid, lfirst_int(lc), false));
	name = ChooseConstraintName(get_rel_name(table->relid), columns.data, "check",
								get_rel_namespace(table->relid), run->constraint_names);
	run->constraint_names = lappend(run->constraint_names, unconstify(char *, name));
	return psprintf("ALTER TABLE %s ADD CONSTRAINT %s CHECK (%s)%s NOT VALID;\n"
					"-- Rows that violate it: %lld.  Once they are corrected: ALTER TABLE %s VALIDATE CONSTRAINT %s;",
					table->name, quote_identifier(name), rule->valid,
					!table->partitioned && has_subclass(table->relid) ? " NO INHERIT" : "",
					(long long) rows, table->name, quote_identifier(name));
}
