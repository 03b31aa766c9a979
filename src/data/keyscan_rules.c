/*
 * src/data/keyscan_rules.c
 *		Counting the rows that break conditions, and collecting which ones do.
 *
 * Most rows keep most conditions, and most conditions are that a number or a
 * time lies within bounds.  Such bounds are looked at first, as numbers (see
 * keyscan_bounds.c); only a row that they do not clear is handed to the
 * server's executor of expressions, whose verdict counts.  What is counted for
 * each rule is the exception, so that a row that all rules clear is counted once.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "core/compat.h"
#include "data/keyscan_rows.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/memutils.h"
#include "utils/rel.h"

typedef struct SharedCount
{
	pg_atomic_uint64 checked;
	pg_atomic_uint64 broken;
	pg_atomic_uint64 skipped_broken;
} SharedCount;

/* A side's rules, which are the same for all participants. */
struct SharedRules
{
	int			count;
	dsa_pointer text;			/* of a list with a list of columns and a
								 * condition, in turn */
	SharedCount counts[FLEXIBLE_ARRAY_MEMBER];
};

typedef struct Rule
{
	/* of the present leaf, what every row needs first */
	int			nbounds;		/* 0: they tell nothing */
	VoxBound	bounds[VOX_MAX_BOUNDS];
	int			ncols;
	AttrNumber *cols;			/* those it must have */
	int			nread;
	AttrNumber *read;			/* they, and those of the condition */
	ExprState  *state;
	bool		one_column;		/* the condition reads nothing else */
	bool		null_keeps;		/* one_column: and null keeps it */

	List	   *columns;		/* of the side's relation */
	Node	   *valid;			/* about the side's relation */
	uint64		incomplete;		/* rows, of those that are not skipped */
	uint64		broken;			/* likewise */
	uint64		skipped_broken;
} Rule;

struct RuleSide
{
	SharedSide *side;
	SharedRules *shared;
	int			count;
	Rule	   *rules;
	uint64		rows;			/* that were not skipped */
	bool		open[BATCH_ROWS];	/* rows that the rule at hand does not
									 * clear */
	bool		broken[BATCH_ROWS]; /* rows to be listed */
	Lot			lot;
	MemoryContext context;		/* of the present leaf */
	Relation	leaf;
	TupleTableSlot *slot;
	ExprContext *econtext;
};

static void point_rule(RuleSide *rules, Rule *rule);
static Node *at_leaf(const RuleSide *rules, const Node *tree);
static bool point_vars(Node *node, void *context);
static AttrNumber *list_columns(const Bitmapset *columns, int *count);
static bool find_open(RuleSide *rules, const Rule *rule, const RowBatch *rows);
static bool mark_nulls(const bool *isnull, int count, bool *open);
static bool look(RuleSide *rules, Rule *rule, const RowBatch *rows, int row, bool skipped);
static bool keeps(RuleSide *rules, Rule *rule, const RowBatch *rows, int row, bool complete);
static bool evaluate(RuleSide *rules, Rule *rule);

/*
 * Put a question's rules where all participants see them.
 */
void
voxanne_rules_share(dsa_area *area, SharedSide *side, List *rules)
{
	int			count = list_length(rules);
	List	   *flat = NIL;
	char	   *text;
	SharedRules *shared;
	ListCell   *lc;

	side->rules = dsa_allocate(area, offsetof(SharedRules, counts) + sizeof(SharedCount) * count);
	shared = dsa_get_address(area, side->rules);
	shared->count = count;
	foreach(lc, rules)
	{
		const VoxScanRule *rule = lfirst(lc);
		SharedCount *counts = &shared->counts[foreach_current_index(lc)];

		pg_atomic_init_u64(&counts->checked, 0);
		pg_atomic_init_u64(&counts->broken, 0);
		pg_atomic_init_u64(&counts->skipped_broken, 0);
		flat = lappend(lappend(flat, rule->columns), rule->valid);
	}
	text = nodeToString(flat);

	shared->text = dsa_allocate(area, strlen(text) + 1);
	strcpy(dsa_get_address(area, shared->text), text);
}

/*
 * Start looking at the rows of one side, in the current context.
 */
RuleSide *
voxanne_rules_open(Keyscan *run, SharedSide *side)
{
	RuleSide   *rules = palloc0_object(RuleSide);
	List	   *flat;

	rules->side = side;
	rules->shared = dsa_get_address(run->area, side->rules);
	rules->count = rules->shared->count;
	rules->rules = palloc0_array(Rule, rules->count);
	rules->lot.run = run;
	rules->lot.side = side;
	rules->context = AllocSetContextCreate(CurrentMemoryContext, "keyscan rules", ALLOCSET_DEFAULT_SIZES);
	flat = (List *) stringToNode(dsa_get_address(run->area, rules->shared->text));
	for (int i = 0; i < rules->count; i++)
	{
		rules->rules[i].columns = list_nth(flat, 2 * i);
		rules->rules[i].valid = list_nth(flat, 2 * i + 1);
	}
	return rules;
}

/*
 * Prepare for the rows of a leaf, which is open; returns the last column that
 * is read.
 */
AttrNumber
voxanne_rules_point(RuleSide *rules, Relation leaf)
{
	MemoryContext old = MemoryContextSwitchTo(rules->context);
	AttrNumber	last = 0;

	rules->leaf = leaf;
	rules->slot = MakeSingleTupleTableSlot(RelationGetDescr(leaf), &TTSOpsVirtual);
	rules->econtext = CreateStandaloneExprContext();
	rules->econtext->ecxt_scantuple = rules->slot;
	for (int i = 0; i < rules->count; i++)
	{
		Rule	   *rule = &rules->rules[i];

		point_rule(rules, rule);
		last = Max(last, rule->read[rule->nread - 1]);
	}
	MemoryContextSwitchTo(old);
	return last;
}

/* Make one rule one about the leaf. */
static void
point_rule(RuleSide *rules, Rule *rule)
{
	const VoxScanKey *key = &rules->side->key;
	Node	   *tree = at_leaf(rules, rule->valid);
	Bitmapset  *read = NULL;
	ListCell   *lc;

	rule->ncols = list_length(rule->columns);
	rule->cols = palloc_array(AttrNumber, rule->ncols);
	pull_varattnos(tree, 1, &read);
	rule->one_column = rule->ncols == 1;
	foreach(lc, rule->columns)
	{
		AttrNumber	attnum = voxanne_leaf_column(key, lfirst_int(lc), RelationGetRelid(rules->leaf));
		Bitmapset  *member = bms_make_singleton(attnum - FirstLowInvalidHeapAttributeNumber);

		rule->cols[foreach_current_index(lc)] = attnum;
		rule->one_column &= bms_is_subset(read, member);
		read = bms_add_members(read, member);
	}
	rule->read = list_columns(read, &rule->nread);
	rule->nbounds = voxanne_bounds_find(tree, rule->bounds);
	rule->state = ExecInitExpr((Expr *) tree, NULL);
}

/* Columns, as pull_varattnos() has them, as numbers. */
static AttrNumber *
list_columns(const Bitmapset *columns, int *count)
{
	AttrNumber *list = palloc_array(AttrNumber, bms_num_members(columns));

	*count = 0;
	for (int attno = -1; (attno = bms_next_member(columns, attno)) >= 0;)
		list[(*count)++] = attno + FirstLowInvalidHeapAttributeNumber;
	return list;
}

/* A copy of a condition, about the leaf's columns. */
static Node *
at_leaf(const RuleSide *rules, const Node *tree)
{
	Node	   *copy = copyObject(unconstify(Node *, tree));

	point_vars(copy, unconstify(RuleSide *, rules));
	fix_opfuncids(copy);
	return copy;
}

static bool
point_vars(Node *node, void *context)
{
	const RuleSide *rules = context;

	if (node == NULL)
		return false;
	if (IsA(node, Var))
		((Var *) node)->varattno = voxanne_leaf_column(&rules->side->key, ((Var *) node)->varattno,
													   RelationGetRelid(rules->leaf));
	return expression_tree_walker(node, point_vars, context);
}

/*
 * Have the columns read.
 */
void
voxanne_rules_want(const RuleSide *rules, RowReader *rows)
{
	for (int i = 0; i < rules->count; i++)
		for (int j = 0; j < rules->rules[i].nread; j++)
			voxanne_row_want(rows, rules->rules[i].read[j]);
}

/*
 * Rows of the leaf will have "last" columns.
 */
void
voxanne_rules_begin(RuleSide *rules, AttrNumber last)
{
	TupleTableSlot *slot = rules->slot;

	slot->tts_nvalid = last;
	slot->tts_flags &= ~TTS_FLAG_EMPTY;
	memset(slot->tts_isnull, true, last);
	for (int i = 0; i < rules->count; i++)
		if (rules->rules[i].one_column)
			rules->rules[i].null_keeps = evaluate(rules, &rules->rules[i]);
}

/*
 * Count a batch of rows; "skipped": those that are passed over.
 */
void
voxanne_rules_count(RuleSide *rules, const RowBatch *rows, const bool *skipped)
{
	bool		any = false;

	for (int r = 0; r < rows->count; r++)
		rules->rows += !skipped[r];
	for (int i = 0; i < rules->count; i++)
	{
		Rule	   *rule = &rules->rules[i];

		if (!find_open(rules, rule, rows))
			continue;
		if (!any)
			memset(rules->broken, 0, rows->count * sizeof(bool));
		any = true;
		for (int r = 0; r < rows->count; r++)
			if (rules->open[r] && look(rules, rule, rows, r, skipped[r]))
				rules->broken[r] = true;
	}
	for (int r = 0; any && r < rows->count; r++)
		if (rules->broken[r] && pg_atomic_read_u32(&rules->side->overflow) == 0)
			lot_add(&rules->lot, rows->ids[r]);
}

/*
 * Mark the rows that do not have all columns of a rule and its condition, or are
 * not within its bounds; false if there are none.
 */
static bool
find_open(RuleSide *rules, const Rule *rule, const RowBatch *rows)
{
	bool		all = rule->nbounds == 0;
	bool		any = all;

	memset(rules->open, all, rows->count * sizeof(bool));
	for (int i = 0; i < rule->nread && !all; i++)
		if (batch_any_null(rows, rule->read[i]))
			any |= mark_nulls(batch_nulls(rows, rule->read[i]), rows->count, rules->open);
	for (int i = 0; i < rule->nbounds; i++)
		any |= voxanne_bound_mark(&rule->bounds[i], rows, rules->open);
	return any;
}

static bool
mark_nulls(const bool *isnull, int count, bool *open)
{
	bool		any = false;

	for (int r = 0; r < count; r++)
		any |= open[r] |= isnull[r];
	return any;
}

/* Count a row that a rule does not clear; true if the row is to be listed, as it breaks the rule. */
static bool
look(RuleSide *rules, Rule *rule, const RowBatch *rows, int row, bool skipped)
{
	bool		complete = true;
	bool		kept;

	for (int i = 0; i < rule->ncols; i++)
		complete &= !batch_nulls(rows, rule->cols[i])[row];
	kept = keeps(rules, rule, rows, row, complete);
	if (skipped)
	{
		rule->skipped_broken += !kept;
		return false;
	}
	rule->incomplete += !complete;
	rule->broken += !kept;
	return !kept;
}

/* Does the row keep a rule that does not clear it?  "complete": it has all the rule's columns. */
static bool
keeps(RuleSide *rules, Rule *rule, const RowBatch *rows, int row, bool complete)
{
	if (!complete && rule->one_column)
		return rule->null_keeps;
	for (int i = 0; i < rule->nread; i++)
	{
		int			column = rule->read[i] - 1;

		rules->slot->tts_values[column] = batch_values(rows, rule->read[i])[row];
		rules->slot->tts_isnull[column] = batch_nulls(rows, rule->read[i])[row];
	}
	return evaluate(rules, rule);
}

/* Does the row in the slot keep the rule? */
static bool
evaluate(RuleSide *rules, Rule *rule)
{
	bool		isnull;
	Datum		result = ExecEvalExpr(rule->state, rules->econtext, &isnull);

	return isnull || DatumGetBool(result);
}

/*
 * The leaf's rows have been read.
 */
void
voxanne_rules_end(RuleSide *rules)
{
	FreeExprContext(rules->econtext, true);
	ExecDropSingleTupleTableSlot(rules->slot);
	MemoryContextReset(rules->context);
}

/*
 * All rows have been read: hand over what was counted.
 */
void
voxanne_rules_close(RuleSide *rules)
{
	for (int i = 0; i < rules->count; i++)
	{
		SharedCount *counts = &rules->shared->counts[i];

		pg_atomic_fetch_add_u64(&counts->checked, rules->rows - rules->rules[i].incomplete);
		pg_atomic_fetch_add_u64(&counts->broken, rules->rules[i].broken);
		pg_atomic_fetch_add_u64(&counts->skipped_broken, rules->rules[i].skipped_broken);
	}
	voxanne_lot_flush(&rules->lot);
	MemoryContextDelete(rules->context);
	pfree(rules);
}

/*
 * Put what all have counted into the question.  For the leader, when all have
 * finished.
 */
void
voxanne_rules_collect(Keyscan *run, SharedSide *side, VoxScanQuestion *question)
{
	SharedRules *shared = dsa_get_address(run->area, side->rules);

	question->counts = palloc_array(VoxScanCount, shared->count);
	for (int i = 0; i < shared->count; i++)
	{
		question->counts[i].checked = pg_atomic_read_u64(&shared->counts[i].checked);
		question->counts[i].broken = pg_atomic_read_u64(&shared->counts[i].broken);
		question->counts[i].skipped_broken = pg_atomic_read_u64(&shared->counts[i].skipped_broken);
	}
	question->listed = pg_atomic_read_u32(&side->overflow) == 0;
	if (question->listed)
		voxanne_collect(run, side, question);
	question->answered = true;
}
