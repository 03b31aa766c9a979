/*
 * src/agent/sandbox.h
 *		What a run gives up before it reads a stranger's bytes.
 */
#ifndef VOXANNE_AGENT_SANDBOX_H
#define VOXANNE_AGENT_SANDBOX_H

#include "agent.h"

/* What the kernel agreed to. */
typedef struct Sandbox
{
	bool		entered;		/* what follows is known */
	int			landlock;		/* version of its interface, 0: none */
	bool		seccomp;
} Sandbox;

/* What is left to a run after sandbox_enter(). */
typedef struct SandboxPlan
{
	int		   *readable;		/* descriptors of directories or files, with
								 * all below them */
	int			n_readable;
	bool		network;		/* may connect, to ... */
	uint16_t	port;			/* ... this TCP port, and may resolve names */
} SandboxPlan;

extern bool sandbox_prepare(pid_t parent);
extern void sandbox_allow(SandboxPlan *plan, int dir, const char *path);
extern void sandbox_enter(const SandboxPlan *plan, Sandbox *sandbox);

/* in seccomp.c */
extern bool seccomp_enter(bool network);

#endif							/* VOXANNE_AGENT_SANDBOX_H */
