/*
 * src/agent/history.h
 *		Timeline history files.
 */
#ifndef VOXANNE_AGENT_HISTORY_H
#define VOXANNE_AGENT_HISTORY_H

#include "agent.h"

/* A timeline that was left, and where */
typedef struct HistoryEntry
{
	uint32_t	timeline;
	uint64_t	end;
} HistoryEntry;

/* The ancestors of a timeline, the oldest first */
typedef struct History
{
	uint32_t	timeline;
	HistoryEntry *entries;
	uint32_t	n;
} History;

extern bool history_parse(History *history, uint32_t timeline, const char *text, char **problem);
extern uint64_t history_begin(const History *history, uint32_t timeline);
extern bool history_contains(const History *history, uint32_t timeline, uint64_t lsn);
extern bool parse_lsn(const char *str, const char **end, uint64_t *lsn);

#endif							/* VOXANNE_AGENT_HISTORY_H */
