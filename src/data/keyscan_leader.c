/*
 * src/data/keyscan_leader.c
 *		The scan engine: look-ups that need not be made.
 *
 * A reference with the tenant in it implies the one without: where the first
 * has found its parent, the second would find it too.  A look-up in a large set
 * waits for memory, so not making it is worth comparing keys beforehand.
 */
#include "postgres.h"

#include "data/keyscan_internal.h"

static bool leads(const KeyscanPlan *plan, int side);
static bool implies(const KeyscanPlan *plan, const SharedSide *strong, const SharedSide *weak);
static bool can_follow(const KeyscanPlan *plan, const SharedSide *side);
static bool same_column(const VoxScanColumn *a, const VoxScanColumn *b);
static bool skips_all_of(const VoxScanKey *key, const VoxScanKey *other);

/*
 * Spare look-ups that can only hit: a row whose tenant and contact are those of
 * a parent has that contact as well.
 */
void
voxanne_choose_leaders(KeyscanPlan *plan)
{
	for (int i = 0; i < plan->nsides; i++)
		for (int j = 0; j < plan->nsides; j++)
			if (i != j && plan->sides[j].leader < 0 && !leads(plan, i) &&
				implies(plan, &plan->sides[j], &plan->sides[i]))
				plan->sides[i].leader = j;
}

static bool
leads(const KeyscanPlan *plan, int side)
{
	for (int i = 0; i < plan->nsides; i++)
		if (plan->sides[i].leader == side)
			return true;
	return false;
}

/*
 * Is a row that "strong" looks up and finds one that "weak" would find?  It is
 * if both ask the same tables, each column of the weak key is one of the strong
 * key, and neither child nor parent of the weak one pass over rows that those of
 * the strong one do not.
 */
static bool
implies(const KeyscanPlan *plan, const SharedSide *strong, const SharedSide *weak)
{
	const VoxScanKey *parents[2];

	if (!can_follow(plan, strong) || !can_follow(plan, weak))
		return false;
	parents[0] = &plan->sides[strong->parent].key;
	parents[1] = &plan->sides[weak->parent].key;
	if (strong->key.relid != weak->key.relid || strong->key.only != weak->key.only ||
		parents[0]->relid != parents[1]->relid || parents[0]->only != parents[1]->only)
		return false;
	for (int i = 0; i < weak->key.ncols; i++)
	{
		bool		found = false;

		for (int j = 0; j < strong->key.ncols; j++)
			found |= same_column(&weak->key.cols[i], &strong->key.cols[j]) &&
				same_column(&parents[1]->cols[i], &parents[0]->cols[j]);
		if (!found)
			return false;
	}
	return skips_all_of(&strong->key, &weak->key) && skips_all_of(parents[0], parents[1]);
}

/* Does a side look keys up while it is scanned, and report misses? */
static bool
can_follow(const KeyscanPlan *plan, const SharedSide *side)
{
	return side->kind == SIDE_CHILD && !side->by_value && !side->stored &&
		!plan->questions[side->question].hits;
}

static bool
same_column(const VoxScanColumn *a, const VoxScanColumn *b)
{
	return a->attnum == b->attnum && a->form == b->form && a->null_equal == b->null_equal;
}

static bool
same_skip(const VoxScanSkip *a, const VoxScanSkip *b)
{
	return a->attnum == b->attnum && a->kind == b->kind && a->operand == b->operand;
}

/* Does one key pass over every row that another one of the same table passes over? */
static bool
skips_all_of(const VoxScanKey *key, const VoxScanKey *other)
{
	for (int i = 0; i < other->nskips; i++)
	{
		bool		found = false;

		for (int j = 0; j < key->nskips; j++)
			found |= same_skip(&other->skips[i], &key->skips[j]);
		if (!found)
			return false;
	}
	return true;
}

/*
 * Do two keys read the same of the same rows?
 */
bool
voxanne_same_key(const VoxScanKey *a, const VoxScanKey *b)
{
	if (a->relid != b->relid || a->only != b->only || a->ncols != b->ncols)
		return false;
	for (int i = 0; i < a->ncols; i++)
		if (!same_column(&a->cols[i], &b->cols[i]))
			return false;
	if (a->nskips != b->nskips || a->only_skipped != b->only_skipped)
		return false;
	for (int i = 0; i < a->nskips; i++)
		if (!same_skip(&a->skips[i], &b->skips[i]))
			return false;
	return true;
}
