/*
 * src/policy/descent.h
 *		The way from a view down to the tables that a statement gets to through it.
 */
#ifndef VOXANNE_DESCENT_H
#define VOXANNE_DESCENT_H

#include "nodes/nodes.h"
#include "nodes/parsenodes.h"
#include "utils/relcache.h"

/* A way down from a view for one kind of statement. */
typedef struct VoxDescent
{
	/* what is looked for; to be set */
	CmdType		command;
	AclMode		privilege;		/* that the statement needs */
	const char *tenant_column;

	/* where the way has led */
	bool		checked;		/* a view above has the cascaded check option */
	List	   *switches;		/* oids: views on the way that change the user */
	Oid			table;			/* a table with tenants reached as "userid" */
	Oid			userid;
	bool		asks_caller;	/* a query on the way looks at who is asking */
} VoxDescent;

extern bool voxanne_descend(VoxDescent *descent, Relation rel, Oid userid, Oid asking);

#endif							/* VOXANNE_DESCENT_H */
