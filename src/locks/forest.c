/*
 * src/locks/forest.c
 *		From the wait graph to trees.
 *
 * A waiter can have several blockers, so the graph is not a tree.  Each party
 * is shown once, below the deepest of its blockers: then a row's depth is the
 * number of parties that must let go before it, and a chain looks like one.
 * Whom a party blocks is counted in the whole graph, not in its tree.
 *
 * A cycle has no root.  Its members are tops of trees of their own; nothing
 * here follows an edge twice, so a deadlock ends like anything else.
 */
#include "postgres.h"

#include "locks/forest.h"
#include "miscadmin.h"

static void place_nodes(VoxForest *forest, List **order);
static void place_children(VoxForest *forest, const VoxNode *node, List **ready);
static List *next_cycle_members(VoxForest *forest);
static Bitmapset *reachable(const VoxForest *forest, const VoxNode *from);
static void count_below(VoxForest *forest, const List *order);
static const VoxNode *better_parent(const VoxNode *a, const VoxEdge *edge_a,
									const VoxNode *b, const VoxEdge *edge_b);
static TimestampTz session_start(const VoxNode *node);
static bool same_cycles(const VoxForest *before, const VoxForest *after);
static bool cycle_persists(const VoxNode *node, const VoxForest *after);
static int	compare_nodes(const ListCell *a, const ListCell *b);

/* Looks that find a different cycle each time, after which the last one is believed. */
#define MAX_LOOKS 4

/*
 * Collect the wait graph and make trees of it.  The edges of a graph stem from
 * different instants, which can feign a cycle; a cycle counts if a second look
 * finds the same waits in it.
 */
VoxForest *
voxanne_forest_look(void)
{
	VoxForest  *forest = voxanne_forest_plant(voxanne_waitgraph_collect());

	for (int looks = 1; forest->cycles > 0 && looks < MAX_LOOKS; looks++)
	{
		VoxForest  *before = forest;

		forest = voxanne_forest_plant(voxanne_waitgraph_collect());
		if (same_cycles(before, forest))
			break;
	}
	return forest;
}

/*
 * The trees of a graph, in no particular order.  Allocated in the current
 * context; the graph must live as long.
 */
VoxForest *
voxanne_forest_plant(const VoxWaitGraph *graph)
{
	VoxForest  *forest = palloc0_object(VoxForest);
	List	   *order = NIL;

	forest->graph = graph;
	forest->count = graph->count;
	forest->nodes = palloc0_array(VoxNode, Max(graph->count, 1));
	for (int i = 0; i < graph->count; i++)
	{
		forest->nodes[i].party = graph->parties[i];
		forest->nodes[i].unplaced = list_length(graph->parties[i]->blockers);
	}
	place_nodes(forest, &order);
	count_below(forest, order);
	return forest;
}

/*
 * Give every node its place, blockers before those they block; "order" is the
 * order in which that happened.  Where every node left waits for another one
 * that is left, there is a cycle among them: its members get their place
 * without waiting for their blockers.
 */
static void
place_nodes(VoxForest *forest, List **order)
{
	List	   *ready = NIL;

	for (int i = 0; i < forest->count; i++)
		if (forest->nodes[i].unplaced == 0)
			ready = lappend(ready, &forest->nodes[i]);

	while (list_length(*order) < forest->count)
	{
		CHECK_FOR_INTERRUPTS();
		if (ready == NIL)
			ready = next_cycle_members(forest);
		for (int i = 0; i < list_length(ready); i++)
		{
			VoxNode    *node = list_nth(ready, i);

			node->root = node->parent == NULL ? node : node->parent->root;
			if (node->parent == NULL)
				forest->tops = lappend(forest->tops, node);
			else
				node->parent->children = lappend(node->parent->children, node);
			*order = lappend(*order, node);
			place_children(forest, node, &ready);
		}
		ready = NIL;
	}
}

/* "node" has its place: count it off for those it blocks, and take those whose blockers are now all placed. */
static void
place_children(VoxForest *forest, const VoxNode *node, List **ready)
{
	ListCell   *lc;

	foreach(lc, node->party->victims)
	{
		const VoxEdge *edge = lfirst(lc);
		VoxNode    *child = &forest->nodes[edge->waiter->index];
		const VoxNode *parent = node;
		ListCell   *other;

		if (child->cycle || --child->unplaced > 0)
			continue;

		foreach(other, child->party->blockers)
		{
			const VoxEdge *candidate = lfirst(other);

			parent = better_parent(parent, edge, &forest->nodes[candidate->blocker->index], candidate);
			if (parent == &forest->nodes[candidate->blocker->index])
				edge = candidate;
		}
		child->parent = &forest->nodes[parent->party->index];
		child->depth = parent->depth + 1;
		*ready = lappend(*ready, child);
	}
}

/* The deeper one; of equals the one that holds a lock, then the one found first: the older holder. */
static const VoxNode *
better_parent(const VoxNode *a, const VoxEdge *edge_a, const VoxNode *b, const VoxEdge *edge_b)
{
	if (a->depth != b->depth)
		return a->depth > b->depth ? a : b;
	if ((edge_a->kind == VOX_BLOCK_SOFT) != (edge_b->kind == VOX_BLOCK_SOFT))
		return edge_a->kind == VOX_BLOCK_SOFT ? b : a;
	return a->party->index <= b->party->index ? a : b;
}

/* The nodes without a place that can reach themselves. */
static List *
next_cycle_members(VoxForest *forest)
{
	List	   *members = NIL;
	ListCell   *lc;

	for (int i = 0; i < forest->count; i++)
	{
		VoxNode    *node = &forest->nodes[i];

		CHECK_FOR_INTERRUPTS();
		if (node->unplaced > 0 && !node->cycle)
		{
			node->below = reachable(forest, node);
			if (bms_is_member(i, node->below))
				members = lappend(members, node);
		}
	}
	Assert(members != NIL);

	foreach(lc, members)
	{
		VoxNode    *node = lfirst(lc);

		node->cycle = true;
		node->unplaced = 0;
		node->below = bms_del_member(node->below, node->party->index);
		forest->cycles++;
	}
	return members;
}

/* Indexes of the parties that "from" blocks, through any number of edges; itself if it is in a cycle. */
static Bitmapset *
reachable(const VoxForest *forest, const VoxNode *from)
{
	List	   *stack = list_make1((void *) from);
	Bitmapset  *found = NULL;

	while (stack != NIL)
	{
		const VoxNode *node = llast(stack);
		ListCell   *lc;

		stack = list_delete_last(stack);
		foreach(lc, node->party->victims)
		{
			int			index = ((const VoxEdge *) lfirst(lc))->waiter->index;

			if (!bms_is_member(index, found))
			{
				found = bms_add_member(found, index);
				stack = lappend(stack, &forest->nodes[index]);
			}
		}
	}
	return found;
}

/*
 * Whom each node blocks: those it blocks directly and whom these block.  In
 * reverse order of placement the latter are known already.
 */
static void
count_below(VoxForest *forest, const List *order)
{
	for (int i = list_length(order) - 1; i >= 0; i--)
	{
		VoxNode    *node = list_nth(order, i);
		ListCell   *lc;

		CHECK_FOR_INTERRUPTS();
		if (node->cycle)
			continue;
		node->below = NULL;
		foreach(lc, node->party->victims)
		{
			int			index = ((const VoxEdge *) lfirst(lc))->waiter->index;

			if (!bms_is_member(index, node->below))
			{
				node->below = bms_add_member(node->below, index);
				node->below = bms_add_members(node->below, forest->nodes[index].below);
			}
		}
	}
}

static bool
same_cycles(const VoxForest *before, const VoxForest *after)
{
	if (before->cycles != after->cycles)
		return false;
	for (int i = 0; i < before->count; i++)
		if (before->nodes[i].cycle && !cycle_persists(&before->nodes[i], after))
			return false;
	return true;
}

/* Does a member of a cycle appear in the later look in the same wait, again in a cycle? */
static bool
cycle_persists(const VoxNode *node, const VoxForest *after)
{
	const VoxWait *wait = linitial(node->party->waits);

	for (int i = 0; i < after->count; i++)
	{
		const VoxNode *other = &after->nodes[i];

		if (other->cycle && other->party->pid == node->party->pid)
			return ((const VoxWait *) linitial(other->party->waits))->since == wait->since;
	}
	return false;
}

/*
 * Put trees and the children of each node in the order in which they are
 * shown; after voxanne_assess().
 */
void
voxanne_forest_order(VoxForest *forest)
{
	list_sort(forest->tops, compare_nodes);
	for (int i = 0; i < forest->count; i++)
		list_sort(forest->nodes[i].children, compare_nodes);
}

/* When a session began; prepared transactions come before all of them. */
static TimestampTz
session_start(const VoxNode *node)
{
	return node->session == NULL || node->session->status == NULL ? 0 :
		node->session->status->st_proc_start_timestamp;
}

/* The worst first, then the one with most victims, then the longest wait, then the oldest session. */
static int
compare_nodes(const ListCell *a, const ListCell *b)
{
	const VoxNode *left = lfirst(a);
	const VoxNode *right = lfirst(b);
	TimestampTz left_since = left->depth == 0 ? left->longest : left->since;
	TimestampTz right_since = right->depth == 0 ? right->longest : right->since;
	TimestampTz left_start = session_start(left);
	TimestampTz right_start = session_start(right);

	if (left->severity != right->severity)
		return left->severity > right->severity ? -1 : 1;
	if (left->waiting != right->waiting)
		return left->waiting > right->waiting ? -1 : 1;
	if (left_since != right_since)
		return left_since < right_since ? -1 : 1;
	if (left_start != right_start)
		return left_start < right_start ? -1 : 1;
	if (left->party->pid != right->party->pid)
		return left->party->pid < right->party->pid ? -1 : 1;
	return left->party->xid < right->party->xid ? -1 : left->party->xid > right->party->xid;
}
