/*
 * src/data/invalid_check.c
 *		What find_invalid_data() checks: values that cannot be right.
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
#include "core/words.h"
#include "data/check.h"
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

static void check_target(VoxInvalidCheck *check);
static void ask_target(void *state);
static const VoxScanQuestion *present_scan(const VoxInvalidCheck *check);
static bool is_late(const VoxInvalidCheck *check);
static void attempt(VoxInvalidCheck *check, char *(*how) (VoxAttempt, void *), VoxAttempt what);
static void check_rules(void *state);
static void check_labels(void *state);
static const VoxScanQuestion *rules_scan(const VoxInvalidCheck *check);
static void answer_rules(VoxInvalidCheck *check, const VoxTable *table, List *rules);
static void check_constraint(void *state);
static void ask_constraint(VoxInvalidCheck *check, const VoxTable *table);
static List *label_columns(const VoxTable *table, AttrNumber label);
static List *columns_read(const VoxTable *table, List *rules);
static bool worth_reporting(const VoxInvalidRule *rule, const VoxInvalidAnswer *answer);
static bool mostly_broken(const VoxInvalidRule *rule, const VoxInvalidAnswer *answer);
static void report_rule(VoxInvalidCheck *check, const VoxTable *table, const VoxInvalidRule *rule,
						const VoxInvalidAnswer *answer);
static void report_constraint(VoxInvalidCheck *check, const VoxTable *table, const VoxInvalidAnswer *answer,
							  int64 below);
static void report(VoxInvalidCheck *check, const VoxTable *table, const VoxInvalidRule *rule,
				   const VoxInvalidAnswer *answer, VoxFinding *finding, bool live_only);
static void report_skip(VoxInvalidCheck *check, const char *reason);
static char *rule_object(const VoxTable *table, const VoxInvalidRule *rule);
static char *check_statement(VoxInvalidCheck *check, const VoxTable *table, const VoxInvalidRule *rule, int64 rows);

/*
 * List the tables and lock them (AccessShareLock, to the end of the transaction)
 * without waiting; those that cannot be locked are skipped.
 */
void
voxanne_invalid_lock(VoxInvalidCheck *check)
{
	check->targets = voxanne_invalid_targets(check->relid, check->schemas);
}

/*
 * What to ask the scan engine (VoxScanQuestion *).
 */
List *
voxanne_invalid_ask(VoxInvalidCheck *check)
{
	List	   *questions = NIL;
	ListCell   *lc;

	foreach(lc, check->targets)
	{
		VoxInvalidTarget *target = lfirst(lc);

		check->target = target;
		if (target->refusal == NULL)
			(void) voxanne_attempt(ask_target, check);	/* SQL will meet the
														 * fault */
		questions = list_concat(questions, target->label_scans);
		if (target->scan != NULL)
			questions = lappend(questions, target->scan);
	}
	return questions;
}

/*
 * The questions about one table.  What the caller may not read, or nobody on
 * this server, is not asked.
 */
static void
ask_target(void *state)
{
	VoxInvalidCheck *check = state;
	VoxInvalidTarget *target = unconstify(VoxInvalidTarget *, check->target);
	bool		live_only = !check->include_deleted;
	VoxTable	table;
	ListCell   *lc;

	voxanne_table_describe(&table, target->relid);
	foreach(lc, target->labels)
	{
		VoxScanQuestion *question = palloc_object(VoxScanQuestion);

		memset(question, 0, sizeof(*question));
		question->reason = voxanne_run_refusal(table.relid, label_columns(&table, lfirst_int(lc)));
		if (question->reason == NULL)
			question->reason = voxanne_scan_labels(&table, lfirst_int(lc), live_only, question);
		target->label_scans = lappend(target->label_scans, question);
	}
	if (target->rules != NIL && voxanne_run_refusal(table.relid, columns_read(&table, target->rules)) == NULL)
	{
		VoxScanQuestion *question = palloc_object(VoxScanQuestion);

		question->reason = voxanne_scan_rules(&table, target->rules, live_only, question);
		target->scan = question;
	}
}

/* What the scan engine was asked for the check that runs; NULL: nothing. */
static const VoxScanQuestion *
present_scan(const VoxInvalidCheck *check)
{
	const VoxInvalidTarget *target = check->target;

	if (check->constraint != NULL)
		return NULL;
	if (check->label == InvalidAttrNumber)
		return target->scan;
	for (int i = 0; i < list_length(target->label_scans); i++)
		if (list_nth_int(target->labels, i) == check->label)
			return list_nth(target->label_scans, i);
	return NULL;
}

/* Did time not suffice for the check that is next? */
static bool
is_late(const VoxInvalidCheck *check)
{
	const VoxScanQuestion *scan = present_scan(check);

	if (scan != NULL && scan->answered)
		return false;
	return (scan != NULL && scan->late) || voxanne_out_of_time();
}

/*
 * Report what is wrong with each table's values.
 */
void
voxanne_invalid_report(VoxInvalidCheck *check)
{
	ListCell   *lc;

	foreach(lc, check->targets)
	{
		check->target = lfirst(lc);
		check_target(check);
	}
}

/* All checks of one table. */
static void
check_target(VoxInvalidCheck *check)
{
	ListCell   *lc;

	check->label = InvalidAttrNumber;
	check->constraint = NULL;
	check->constraint_names = NIL;
	if (check->target->refusal != NULL)
	{
		report_skip(check, check->target->refusal);
		return;
	}
	if (check->target->rules != NIL)
		attempt(check, voxanne_attempt, check_rules);
	foreach(lc, check->target->labels)
	{
		check->label = lfirst_int(lc);
		attempt(check, voxanne_attempt, check_labels);
	}
	check->label = InvalidAttrNumber;
	foreach(lc, check->target->constraints)
	{
		check->constraint = lfirst(lc);
		attempt(check, voxanne_attempt_undone, check_constraint);
	}
}

/* One check, if there is time for it. */
static void
attempt(VoxInvalidCheck *check, char *(*how) (VoxAttempt, void *), VoxAttempt what)
{
	char	   *failure;

	CHECK_FOR_INTERRUPTS();
	failure = is_late(check) ? pstrdup(OUT_OF_TIME) : how(what, check);
	if (failure != NULL)
		report_skip(check, failure);
}

/* Our rules about one table. */
static void
check_rules(void *state)
{
	VoxInvalidCheck *check = state;
	VoxTable	table;
	const char *refusal;

	voxanne_table_describe(&table, check->target->relid);
	refusal = voxanne_run_refusal(table.relid, columns_read(&table, check->target->rules));
	if (refusal != NULL)
	{
		report_skip(check, refusal);
		return;
	}
	voxanne_execution_note(table.name, "rules", check->target->scan);
	answer_rules(check, &table, check->target->rules);
}

/* The labels of one column. */
static void
check_labels(void *state)
{
	VoxInvalidCheck *check = state;
	VoxTable	table;
	const char *refusal;

	voxanne_table_describe(&table, check->target->relid);
	refusal = voxanne_run_refusal(table.relid, label_columns(&table, check->label));
	if (refusal != NULL)
	{
		report_skip(check, refusal);
		return;
	}
	voxanne_execution_note(table.name, get_attname(table.relid, check->label, false), present_scan(check));
	answer_rules(check, &table, voxanne_invalid_label_rules(&table, check->label, !check->include_deleted,
															present_scan(check)));
}

/* What the scan engine has found out about our rules; NULL if SQL must. */
static const VoxScanQuestion *
rules_scan(const VoxInvalidCheck *check)
{
	const VoxScanQuestion *scan = check->label == InvalidAttrNumber ? present_scan(check) : NULL;

	return scan != NULL && scan->answered ? scan : NULL;
}

static void
answer_rules(VoxInvalidCheck *check, const VoxTable *table, List *rules)
{
	VoxInvalidAnswer *answers = palloc0_array(VoxInvalidAnswer, list_length(rules) + 1);
	ListCell   *lc;

	voxanne_invalid_ask_rules(table, rules, !check->include_deleted, rules_scan(check), answers);
	foreach(lc, rules)
	{
		const VoxInvalidAnswer *answer = &answers[foreach_current_index(lc)];

		if (worth_reporting(lfirst(lc), answer))
			report_rule(check, table, lfirst(lc), answer);
	}
}

/* A user's constraint, as whoever may run it. */
static void
check_constraint(void *state)
{
	VoxInvalidCheck *check = state;
	const VoxInvalidRule *rule = check->constraint;
	const char *refusal = rule->refusal;
	VoxIdentity identity;
	VoxTable	table;

	voxanne_table_describe(&table, check->target->relid);
	if (refusal == NULL)
		refusal = voxanne_run_refusal(table.relid, rule->columns == NIL ? NIL :
									  columns_read(&table, list_make1(unconstify(VoxInvalidRule *, rule))));
	if (refusal != NULL)
	{
		report_skip(check, refusal);
		return;
	}
	voxanne_execution_note(table.name, rule->constraint_name, NULL);
	if (OidIsValid(rule->run_as))
		voxanne_become(rule->run_as, &identity);
	ask_constraint(check, &table);
	if (OidIsValid(rule->run_as))
		voxanne_become_again(&identity);
}

static void
ask_constraint(VoxInvalidCheck *check, const VoxTable *table)
{
	List	   *rules = list_make1(unconstify(VoxInvalidRule *, check->constraint));
	VoxInvalidAnswer answer;
	VoxInvalidAnswer below = {0};

	voxanne_invalid_ask_rules(table, rules, false, NULL, &answer);
	if (!table->partitioned && check->constraint->inherited && has_subclass(table->relid))
	{
		VoxTable	family = *table;

		family.from = family.name;
		voxanne_invalid_ask_rules(&family, rules, false, NULL, &below);
	}
	report_constraint(check, table, &answer, Max(below.rows - answer.rows, 0));
}

static List *
label_columns(const VoxTable *table, AttrNumber label)
{
	return list_append_unique_int(voxanne_table_id_columns(table), label);
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
report_rule(VoxInvalidCheck *check, const VoxTable *table, const VoxInvalidRule *rule, const VoxInvalidAnswer *answer)
{
	bool		doubtful = mostly_broken(rule, answer);
	VoxFinding	finding = {
		.severity = doubtful ? VOX_INFO : rule->severity,
		.object = rule_object(table, rule),
		.advice = rule->advice,
	};

	finding.key = voxanne_finding_key(rule->kind, finding.object, NULL);
	finding.detail = psprintf("%s %s%s.", voxanne_rows_that(answer->rows, answer->checked, table->name, "has", "have"), rule->fault,
							  answer->deleted_rows == 0 ? "" :
							  psprintf(", not counting %lld soft-deleted", (long long) answer->deleted_rows));
	if (doubtful)
		finding.advice = "See what the column is for: most of its values are none, so perhaps only its name says so.";
	else if (rule->severity == VOX_WARNING && rule->can_be_check)
	{
		finding.remedy = check_statement(check, table, rule, answer->rows + answer->deleted_rows);
		finding.advice = psprintf("%s The remedy keeps new ones out; until the old ones are corrected, updates of those rows fail too.",
								  rule->advice);
	}
	report(check, table, rule, answer, &finding, !check->include_deleted);
}

/* Also reports that no row violates the constraint: then it can be validated. */
static void
report_constraint(VoxInvalidCheck *check, const VoxTable *table, const VoxInvalidAnswer *answer, int64 below)
{
	const VoxInvalidRule *rule = check->constraint;
	const char *name = quote_identifier(rule->constraint_name);
	VoxFinding	finding = {
		.severity = answer->rows > 0 ? rule->severity : VOX_INFO,
		.object = table->name,
		.key = voxanne_finding_key(rule->kind, table->name, rule->constraint_name),
	};

	finding.detail = psprintf("%s constraint %s, which is %s%s.",
							  voxanne_rows_that(answer->rows, answer->checked, table->name, "violates", "violate"), name,
							  rule->enforced ? "NOT VALID: rows older than it were never checked" : "NOT ENFORCED",
							  below == 0 ? "" : psprintf("; so %s %s of its children", below == 1 ? "does" : "do",
														 voxanne_count_of(below, "row", "rows")));
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
	report(check, table, rule, answer, &finding, false);
}

/* Add a finding with the rule's own columns and some rows. */
static void
report(VoxInvalidCheck *check, const VoxTable *table, const VoxInvalidRule *rule,
	   const VoxInvalidAnswer *answer, VoxFinding *finding, bool live_only)
{
	Datum		own[OWN_COLS];
	bool		own_null[OWN_COLS] = {false};

	own[COL_KIND] = CStringGetTextDatum(rule->kind);
	own[COL_RELATION] = CStringGetTextDatum(table->name);
	own[COL_COLUMNS] = voxanne_name_array(table->relid, rule->columns);
	own[COL_ROWS] = Int64GetDatum(answer->rows);
	own[COL_CHECKED] = Int64GetDatum(answer->checked);
	own[COL_SAMPLE] = JsonbPGetDatum(voxanne_invalid_sample(table, rule, live_only, rules_scan(check),
															answer->rows == 0 ? 0 : check->max_rows));
	own_null[COL_CONSTRAINT_NAME] = rule->constraint_name == NULL;
	if (rule->constraint_name != NULL)
		own[COL_CONSTRAINT_NAME] = DirectFunctionCall1(namein, CStringGetDatum(rule->constraint_name));
	voxanne_sink_add(check->sink, finding, own, own_null);
}

/* The check that is running could not be done. */
static void
report_skip(VoxInvalidCheck *check, const char *reason)
{
	char	   *object = voxanne_run_object(check->target->relid);
	const char *constraint = check->constraint == NULL ? NULL : check->constraint->constraint_name;
	const char *label = check->label == InvalidAttrNumber ? NULL : get_attname(check->target->relid, check->label, true);
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
	voxanne_sink_add(check->sink, &finding, own, own_null);
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
check_statement(VoxInvalidCheck *check, const VoxTable *table, const VoxInvalidRule *rule, int64 rows)
{
	StringInfoData columns;
	const char *name;
	ListCell   *lc;

	initStringInfo(&columns);
	foreach(lc, rule->columns)
		appendStringInfo(&columns, "%s%s", columns.len > 0 ? "_" : "",
						 get_attname(table->relid, lfirst_int(lc), false));
	name = ChooseConstraintName(get_rel_name(table->relid), columns.data, "check",
								get_rel_namespace(table->relid), check->constraint_names);
	check->constraint_names = lappend(check->constraint_names, unconstify(char *, name));
	return psprintf("ALTER TABLE %s ADD CONSTRAINT %s CHECK (%s)%s NOT VALID;%s",
					table->name, quote_identifier(name), rule->valid,
					!table->partitioned && has_subclass(table->relid) ? " NO INHERIT" : "",
					voxanne_sql_comment(psprintf("Rows that violate it: %lld.  Once they are corrected: ALTER TABLE %s VALIDATE CONSTRAINT %s;",
												 (long long) rows, table->name, quote_identifier(name))));
}
