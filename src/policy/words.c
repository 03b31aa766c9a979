/*
 * src/policy/words.c
 *		Wording shared by the checks: lists, JSON, SQL fragments.
 */
#include "postgres.h"

#include "audit.h"
#include "commands/defrem.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

static const struct
{
	AclMode		privilege;
	const char *word;
}			privilege_words[] = {
	{ACL_SELECT, "SELECT"},
	{ACL_INSERT, "INSERT"},
	{ACL_UPDATE, "UPDATE"},
	{ACL_DELETE, "DELETE"},
	{ACL_TRUNCATE, "TRUNCATE"},
};

/*
 * "SELECT, INSERT" for a set of privileges.
 */
char *
voxanne_privilege_words(AclMode privileges)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < (int) lengthof(privilege_words); i++)
		if (privileges & privilege_words[i].privilege)
			appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "", privilege_words[i].word);
	return buf.data;
}

/*
 * The audited roles that are chosen, quoted, with "separator" between them.
 */
char *
voxanne_role_words(VoxAudit *audit, const bool *chosen, const char *separator)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < audit->role_count; i++)
		if (chosen[i])
			appendStringInfo(&buf, "%s%s", buf.len > 0 ? separator : "", audit->roles[i].shown);
	return buf.data;
}

/*
 * Name of the role if just one is chosen, and that is not PUBLIC; else NULL.
 */
const char *
voxanne_only_role(VoxAudit *audit, const bool *chosen)
{
	const char *only = NULL;
	int			count = 0;

	for (int i = 0; i < audit->role_count; i++)
		if (chosen[i])
		{
			only = audit->roles[i].name;
			count++;
		}
	return count == 1 ? only : NULL;
}

/*
 * {"access": {"anon": ["SELECT"]}} for privileges per audited role; those
 * without any are left out.
 */
char *
voxanne_json_access(VoxAudit *audit, const AclMode *privileges)
{
	StringInfoData buf;
	const char *between = "";

	initStringInfo(&buf);
	appendStringInfoString(&buf, "{\"access\": {");
	for (int r = 0; r < audit->role_count; r++)
	{
		const char *comma = "";

		if (!privileges[r])
			continue;
		appendStringInfoString(&buf, between);
		escape_json(&buf, audit->roles[r].shown);
		appendStringInfoString(&buf, ": [");
		for (int i = 0; i < (int) lengthof(privilege_words); i++)
			if (privileges[r] & privilege_words[i].privilege)
			{
				appendStringInfo(&buf, "%s\"%s\"", comma, privilege_words[i].word);
				comma = ", ";
			}
		appendStringInfoChar(&buf, ']');
		between = ", ";
	}
	appendStringInfoString(&buf, "}}");
	return buf.data;
}

/*
 * SQL text of an expression over the table's columns; search_path must be
 * pinned, so that names come out with their schemas.
 */
char *
voxanne_deparse(VoxTable *table, Node *expr)
{
	return deparse_expression(expr, deparse_context_for(RelationGetRelationName(table->rel),
														RelationGetRelid(table->rel)),
							  false, false);
}

/*
 * A quoted name TABLE_SUFFIX that no policy of the table has.
 */
char *
voxanne_free_policy_name(VoxTable *table, const char *suffix)
{
	for (int n = 0;; n++)
	{
		char	   *ending = n == 0 ? pstrdup(suffix) : psprintf("%s_%d", suffix, n);
		char	   *name = makeObjectName(RelationGetRelationName(table->rel), NULL, ending);
		bool		taken = false;
		ListCell   *lc;

		foreach(lc, table->policies)
			if (strcmp(((VoxPolicy *) lfirst(lc))->name, name) == 0)
			taken = true;
		if (!taken)
			return pstrdup(quote_identifier(name));
	}
}
