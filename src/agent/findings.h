/*
 * src/agent/findings.h
 *		What is wrong with pages of relation files.
 */
#ifndef VOXANNE_AGENT_FINDINGS_H
#define VOXANNE_AGENT_FINDINGS_H

#include "backup.h"

/* A block as WAL names it */
typedef struct BlockName
{
	uint32_t	space;
	uint32_t	database;
	uint32_t	relation;
	uint32_t	fork;
	uint32_t	block;
} BlockName;

/* A relation's file: what WAL calls its first block */
typedef struct RelationFile
{
	uint32_t	file;			/* number in the manifest */
	BlockName	first;
	bool		incremental;	/* it holds some of its pages only */
} RelationFile;

typedef enum PageFault
{
	FAULT_CHECKSUM,				/* states another checksum than it has */
	FAULT_NOT_ZERO,				/* never initialized, but not empty */
	FAULT_FUTURE				/* changed after the backup's end */
} PageFault;

typedef struct PageFinding
{
	BlockName	name;
	uint32_t	file;			/* number in the manifest */
	uint32_t	page;			/* in that file */
	uint64_t	lsn;
	uint16_t	stated;			/* checksums */
	uint16_t	computed;
	uint8_t		fault;			/* PageFault */
	bool		second;			/* found when the file was read again */
	bool		replayed;		/* WAL writes the page anew */
} PageFinding;

/* A damaged backup may have millions of bad pages; the first are enough. */
#define MAX_FINDINGS 65536

typedef struct PageFindings
{
	PageFinding *items;
	uint32_t	n;
	uint32_t	size;
	uint64_t	dropped;		/* beyond MAX_FINDINGS */
} PageFindings;

extern bool relation_file(const char *path, const Layout *layout, RelationFile *relation);
extern bool page_fault(const unsigned char *page, uint32_t sum, const Layout *layout, uint32_t block,
					   uint64_t end_lsn, PageFinding *finding);
extern void findings_add(PageFindings *findings, const PageFinding *finding);
extern void findings_take(PageFindings *findings, PageFindings *from);
extern void findings_sort(PageFindings *findings, const Manifest *manifest);
extern void findings_replayed(PageFindings *findings, const BlockName *name);

#endif							/* VOXANNE_AGENT_FINDINGS_H */
