/*
 * src/agent/wal_name.h
 *		Names of the files in a WAL archive.
 */
#ifndef VOXANNE_AGENT_WAL_NAME_H
#define VOXANNE_AGENT_WAL_NAME_H

#include "decompress.h"

typedef enum WalNameKind
{
	NAME_OTHER,
	NAME_SEGMENT,
	NAME_HISTORY,				/* TTTTTTTT.history */
	NAME_BACKUP					/* <segment>.<offset>.backup */
} WalNameKind;

#define SHA1_SIZE 20
#define SEGMENT_DIGITS 24
#define DIRECTORY_DIGITS 16

typedef struct WalName
{
	WalNameKind kind;
	uint32_t	timeline;
	uint32_t	log;			/* of segments: upper half of the LSN ... */
	uint32_t	seg;			/* ... and the segment's number in it */
	bool		partial;		/* the end of a timeline, or not complete yet */
	bool		has_sha1;		/* pgBackRest's: of the contents */
	unsigned char sha1[SHA1_SIZE];
	Compression compression;
	size_t		tail;			/* where what follows the digits begins */
} WalName;

extern void parse_wal_name(const char *name, WalName *result);
extern uint32_t timeline_of_name(const char *name);
extern bool is_segment_directory(const char *name);

#endif							/* VOXANNE_AGENT_WAL_NAME_H */
