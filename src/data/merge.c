/*
 * src/data/merge.c
 *		The SQL that makes one row of several.
 *
 * Whatever references the losers is made to reference the keeper, then they
 * are soft-deleted or moved to quarantine.  The rows are locked first: from
 * then on nobody can add a reference to a loser.  A referencing table with a
 * unique key that both rows have a part in makes its UPDATE fail, and with it
 * the whole transaction: which of the two to keep is not ours to say.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/compat.h"
#include "data/duplicate.h"
#include "data/quarantine.h"
#include "utils/array.h"
#include "utils/builtins.h"

static char *remove_rows(const VoxTable *table, const VoxIncoming *incoming, List *losers,
						 bool soft, const char *key);

/* The ids of all members but the first, as text[]. */
Datum
voxanne_member_ids(List *members)
{
	Datum	   *elements = palloc_array(Datum, list_length(members));
	int			count = 0;
	ListCell   *lc;

	for_each_from(lc, members, 1)
		elements[count++] = CStringGetTextDatum(((VoxMember *) lfirst(lc))->id);
	return PointerGetDatum(construct_array(elements, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/* The members as they can stand in a statement. */
List *
voxanne_member_literals(List *members)
{
	List	   *literals = NIL;
	ListCell   *lc;

	foreach(lc, members)
		literals = lappend(literals, ((VoxMember *) lfirst(lc))->literal);
	return literals;
}

/*
 * Statements that merge the members, of which the first is kept.  "soft":
 * mark the others as deleted, if the table can.  The table has a primary key,
 * and what references it is known.
 */
char *
voxanne_merge_remedy(const VoxTable *table, const VoxIncoming *incoming, List *members,
					 bool soft, const char *key)
{
	List	   *literals = voxanne_member_literals(members);
	const char *keeper = linitial(literals);
	List	   *losers = list_delete_first(list_copy(literals));
	char	   *removal = remove_rows(table, incoming, losers, soft, key);
	const char *prepare = soft ? "" : voxanne_quarantine_prepare();

	if (incoming->references == NIL)
		return psprintf("%s%s;", prepare, removal);
	return psprintf("%sBEGIN;\nSELECT FROM %s WHERE %s FOR UPDATE;\n%s%s;\nCOMMIT;",
					prepare, table->from, voxanne_table_id_match(table, "", literals),
					voxanne_incoming_move(incoming, table, keeper, losers), removal);
}

static char *
remove_rows(const VoxTable *table, const VoxIncoming *incoming, List *losers, bool soft, const char *key)
{
	if (soft)
	{
		return psprintf("UPDATE %s AS gone SET %s = %s WHERE %s AND %s%s", table->from,
						quote_identifier(table->mark->column), table->mark->deleted,
						voxanne_table_id_match(table, "gone", losers), voxanne_table_live(table, "gone"),
						*voxanne_incoming_stuck(incoming) == '\0' ? "" : voxanne_unreferenced(incoming->references, "gone"));
	}
	return psprintf("WITH gone AS (DELETE FROM %s AS gone WHERE %s%s RETURNING gone.*)\n%s",
					table->from, voxanne_table_id_match(table, "gone", losers),
					voxanne_unreferenced(incoming->references, "gone"),
					voxanne_quarantine_insert(table->name, key, "gone"));
}
