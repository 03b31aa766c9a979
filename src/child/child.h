/*
 * src/child/child.h
 *		Running a program, mostly voxanne_agent, from a backend or a worker.
 */
#ifndef VOXANNE_CHILD_H
#define VOXANNE_CHILD_H

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

/* How a run ended. */
typedef enum VoxChildEnd
{
	VOX_CHILD_EXITED,			/* by itself; see exit_code */
	VOX_CHILD_SIGNALED,			/* by a signal that was not ours; see signal */
	VOX_CHILD_TIMED_OUT,		/* past the deadline; it was ended */
	VOX_CHILD_ABANDONED,		/* past the deadline and could not be ended;
								 * it is remembered */
	VOX_CHILD_BUSY,				/* not started: an abandoned child of the same
								 * purpose still lives */
	VOX_CHILD_NOT_STARTED,		/* could not be executed; see error */
	VOX_CHILD_OVERFLOWED		/* printed more than max_output; it was ended */
} VoxChildEnd;

typedef struct VoxChildRequest
{
	const char *const *argv;	/* argv[0]: absolute path; NULL-terminated */
	const char *purpose;		/* what an abandoned child blocks: "verify
								 * nightly" */
	const char *input;			/* standard input, or NULL; secrets travel
								 * here, never in argv */
	int			deadline_ms;	/* > 0 */
	Size		max_output;		/* bytes of standard output kept; more fails
								 * the run */
	void		(*heard) (const char *errors);	/* called with the end of
												 * standard error when there
												 * is more of it; NULL: not
												 * wanted */
} VoxChildRequest;

typedef struct VoxChildResult
{
	VoxChildEnd end;
	int			exit_code;
	int			signal;
	bool		output_truncated;
	StringInfoData output;		/* standard output */
	StringInfoData errors;		/* last 4 kB of standard error */
	char	   *error;			/* a sentence for everything but
								 * VOX_CHILD_EXITED; else NULL */
} VoxChildResult;

extern void voxanne_child_init(void);
extern void voxanne_child_run(const VoxChildRequest *request, VoxChildResult *result);

/*
 * The answer of voxanne_agent: its JSON document where it gave a valid one of
 * our protocol, else NULL and what to report about that.
 */
typedef struct VoxAgentAnswer
{
	Jsonb	   *document;
	const char *problem;		/* check name: verifier_error,
								 * version_mismatch, verifier_timeout,
								 * verifier_busy */
	char	   *detail;			/* a sentence */
} VoxAgentAnswer;

/* The number in every document of the agent; raised with any incompatible change of docs/agent.md */
#define VOX_AGENT_PROTOCOL 1

/* Called as VoxChildRequest.heard whenever this process runs the agent, unless NULL. */
extern void (*voxanne_agent_heard) (const char *errors);

extern char *voxanne_agent_program(void);
extern char *voxanne_agent_version(char **reason);
extern void voxanne_agent_call(const char *const *arguments, const char *purpose,
							   const char *input, int deadline_ms,
							   VoxAgentAnswer *answer);

#endif							/* VOXANNE_CHILD_H */
