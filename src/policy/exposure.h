/*
 * src/policy/exposure.h
 *		What a policy is to blame for: between exposure.c, which finds it out, and
 *		exposure_report.c, which words it.
 */
#ifndef VOXANNE_EXPOSURE_H
#define VOXANNE_EXPOSURE_H

#include "audit.h"

/* What can be done with a row of another tenant. */
typedef enum Deed
{
	DEED_READ,
	DEED_CHANGE,
	DEED_DELETE,
	DEED_INSERT,
	DEED_MOVE,
	DEED_COUNT
} Deed;

typedef struct DeedKind
{
	const char *verb;
	AclMode		privilege;
	char		command;		/* as in pg_policy */
	CmdType		statement;
	bool		new_row;		/* WITH CHECK decides, not USING */
} DeedKind;

extern const DeedKind voxanne_deeds[DEED_COUNT];

#define OLD_ROW_DEEDS ((1 << DEED_READ) | (1 << DEED_CHANGE) | (1 << DEED_DELETE))
#define NEW_ROW_DEEDS ((1 << DEED_INSERT) | (1 << DEED_MOVE))

typedef enum Certainty
{
	CERTAIN,					/* rows of other tenants */
	WITHOUT_TENANT,				/* rows that belong to none */
	UNPROVEN					/* nobody can tell without running code */
} Certainty;

/* What a policy is to blame for. */
typedef struct Exposure
{
	VoxPolicy  *policy;			/* NULL: none by itself */
	Certainty	certainty;
	VoxBinding	worst;
	bool		beside_bound;	/* it widens what another arm binds */
	uint32	   *can;			/* per role, a bit per deed */
	uint32	   *bare;			/* ... only by a statement without WHERE */
} Exposure;

extern Node *voxanne_clause_for(const VoxPolicy *policy, bool new_row);
extern void voxanne_report_exposure(VoxAudit *audit, VoxTable *table, const Exposure *exposure);

#endif							/* VOXANNE_EXPOSURE_H */
