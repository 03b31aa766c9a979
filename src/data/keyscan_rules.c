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
#include "data/keyscan_internal.h"
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
	int			nloose;			/* columns that no bound looks at; they are
								 * the first of cols */
	AttrNumber *cols;
	VoxBound	bounds[VOX_MAX_BOUNDS];
	int			ncols;
	Bitmapset  *read;			/* columns of the condition, as
								 * pull_varattnos() has them */
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
	Lot			lot;
	MemoryContext context;		/* of the present leaf */
	Relation	leaf;
	const VoxRow *row;
	TupleTableSlot *slot;
	Datum	   *slot_values;	/* its own */
	bool	   *slot_isnull;
	ExprContext *econtext;
};

static void point_rule(RuleSide *rules, Rule *rule);
static Node *at_leaf(const RuleSide *rules, const Node *tree);
static bool point_vars(Node *node, void *context);
static void order_columns(Rule *rule);
static bool look(RuleSide *rules, Rule *rule, bool skipped);
static bool keeps(RuleSide *rules, Rule *rule, bool complete);
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
		for (int attno = -1; (attno = bms_next_member(rule->read, attno)) >= 0;)
			last = Max(last, attno + FirstLowInvalidHeapAttributeNumber);
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
	ListCell   *lc;

	rule->ncols = list_length(rule->columns);
	rule->cols = palloc_array(AttrNumber, rule->ncols);
	rule->read = NULL;
	pull_varattnos(tree, 1, &rule->read);
	rule->one_column = rule->ncols == 1;
	foreach(lc, rule->columns)
	{
		AttrNumber	attnum = voxanne_leaf_column(key, lfirst_int(lc), RelationGetRelid(rules->leaf));
		Bitmapset  *member = bms_make_singleton(attnum - FirstLowInvalidHeapAttributeNumber);

		rule->cols[foreach_current_index(lc)] = attnum;
		rule->one_column &= bms_is_subset(rule->read, member);
		rule->read = bms_add_members(rule->read, member);
	}
	rule->nbounds = voxanne_bounds_find(tree, rule->bounds);
	order_columns(rule);
	rule->state = ExecInitExpr((Expr *) tree, NULL);
}

/* Put the columns that no bound looks at first. */
static void
order_columns(Rule *rule)
{
	rule->nloose = 0;
	for (int i = 0; i < rule->ncols; i++)
	{
		AttrNumber	attnum = rule->cols[i];
		bool		bound = false;

		for (int j = 0; j < rule->nbounds; j++)
			bound |= rule->bounds[j].attnum == attnum || rule->bounds[j].other == attnum;
		if (bound)
			continue;
		rule->cols[i] = rule->cols[rule->nloose];
		rule->cols[rule->nloose++] = attnum;
	}
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
		for (int attno = -1; (attno = bms_next_member(rules->rules[i].read, attno)) >= 0;)
			voxanne_row_want(rows, attno + FirstLowInvalidHeapAttributeNumber);
}

/*
 * The leaf's rows will be read into *row, which has "last" columns.
 */
void
voxanne_rules_begin(RuleSide *rules, const VoxRow *row, AttrNumber last)
{
	TupleTableSlot *slot = rules->slot;

	rules->row = row;
	rules->slot_values = slot->tts_values;
	rules->slot_isnull = slot->tts_isnull;
	slot->tts_values = row->values;
	slot->tts_isnull = row->isnull;
	slot->tts_nvalid = last;
	slot->tts_flags &= ~TTS_FLAG_EMPTY;

	/* what the reader's arrays hold until the first row is read */
	memset(row->isnull, true, last);
	for (int i = 0; i < rules->count; i++)
		if (rules->rules[i].one_column)
			rules->rules[i].null_keeps = evaluate(rules, &rules->rules[i]);
}

/* Are all columns of a rule there, and within its bounds? */
static inline bool
clears(const Rule *rule, const VoxRow *row)
{
	for (int i = 0; i < rule->nloose; i++)
		if (row->isnull[rule->cols[i] - 1])
			return false;
	return voxanne_bounds_hold(rule->bounds, rule->nbounds, row);
}

/*
 * Count the row that was read; "skipped": it is passed over.
 */
void
voxanne_rules_row(RuleSide *rules, bool skipped, RowId id)
{
	bool		broken = false;

	rules->rows += !skipped;
	for (int i = 0; i < rules->count; i++)
		if (!clears(&rules->rules[i], rules->row))
			broken |= look(rules, &rules->rules[i], skipped);
	if (broken && pg_atomic_read_u32(&rules->side->overflow) == 0)
		lot_add(&rules->lot, id);
}

/* Count a row that a rule does not clear; true if the row is to be listed, as it breaks the rule. */
static bool
look(RuleSide *rules, Rule *rule, bool skipped)
{
	bool		complete = true;
	bool		kept;

	for (int i = 0; i < rule->ncols; i++)
		complete &= !rules->row->isnull[rule->cols[i] - 1];
	kept = keeps(rules, rule, complete);
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
keeps(RuleSide *rules, Rule *rule, bool complete)
{
	if (!complete && rule->one_column)
		return rule->null_keeps;
	return evaluate(rules, rule);
}

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
	rules->slot->tts_values = rules->slot_values;
	rules->slot->tts_isnull = rules->slot_isnull;
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
