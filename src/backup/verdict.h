/*
 * src/backup/verdict.h
 *		What one result of run says about its target.
 */
#ifndef VOXANNE_VERDICT_H
#define VOXANNE_VERDICT_H

#include "core/json.h"
#include "core/severity.h"
#include "datatype/timestamp.h"

/* What run was asked about the target; from the plan and backup_target. */
typedef struct VoxQuestion
{
	const char *kind;
	const char *level;
	int64		max_age;		/* microseconds */
	int64		min_size;		/* bytes; -1: any */
	int64		max_size_change;	/* millionths; -1: any */
	int64		previous_size;	/* of the good backup before this one; -1:
								 * none is known */
	const char *previous_id;	/* its name, or NULL */
	const char *problem_detail; /* of a problem of which run did not write
								 * any; or NULL */
	TimestampTz now;
} VoxQuestion;

typedef struct VoxVerdict
{
	VoxSeverity severity;		/* info: success, warning, critical: failure */
	const char *proof;			/* or NULL: nothing was shown */
	char	   *backup_id;		/* or NULL */
	TimestampTz finished_at;	/* the backup's end; DT_NOBEGIN: unknown */
	int64		size_bytes;		/* -1: unknown */
	int64		duration;		/* microseconds */
	int			passed;
	int			failed;
	char	   *errors;			/* JSON array of what failed or warned, or
								 * NULL */
	char	   *details;		/* JSON object */
	char	   *message;		/* one sentence */
} VoxVerdict;

extern void voxanne_verdict_reach(const VoxQuestion *question, JsonbContainer *result, VoxVerdict *verdict);

/* Name of the check of a backup's age, which is ours and not the agent's. */
#define VOX_AGE_CHECK "backup_age"

/* And those of its size. */
#define VOX_MIN_SIZE_CHECK "min_size"
#define VOX_SIZE_CHANGE_CHECK "size_change"

extern int	voxanne_proof_rank(const char *proof);
extern const char *voxanne_proof_name(int rank);

extern const char *voxanne_severity_status(VoxSeverity severity);
extern VoxSeverity voxanne_status_severity(const char *status);
extern bool voxanne_is_verifier_problem(const char *check);
extern VoxSeverity voxanne_judge_age(int64 age, int64 max_age);

#endif							/* VOXANNE_VERDICT_H */
