/*
 * src/agent/dump_blobs.h
 *		Large objects of a dump that keeps each in a file.
 */
#ifndef VOXANNE_AGENT_DUMP_BLOBS_H
#define VOXANNE_AGENT_DUMP_BLOBS_H

#include "dump.h"

typedef struct OidList
{
	uint32_t   *oids;
	uint32_t	n;
	uint32_t	room;
} OidList;

typedef struct Blobs
{
	bool		listed;			/* there was a list of them */
	OidList		wanted;			/* those in the lists */
	OidList		met;			/* those whose files were found */
} Blobs;

extern bool is_blob_file(const char *name, uint32_t *oid);
extern bool is_blobs_toc(const char *name);
extern char *blobs_read_toc(Blobs *blobs, Stream *in);
extern void blobs_met(Blobs *blobs, uint32_t oid);
extern void blobs_compare(Blobs *blobs, DumpRun *run);

#endif							/* VOXANNE_AGENT_DUMP_BLOBS_H */
