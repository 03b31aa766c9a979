/*
 * src/agent/tar.h
 *		Members of a tar archive, one after the other.
 */
#ifndef VOXANNE_AGENT_TAR_H
#define VOXANNE_AGENT_TAR_H

#include <limits.h>

#include "stream.h"

#define TAR_BLOCK 512

/* Types of members that matter; others are as in the archive */
#define TAR_FILE '0'
#define TAR_LINK '2'
#define TAR_DIRECTORY '5'

typedef struct TarMember
{
	char		path[PATH_MAX];
	char		target[101];	/* of a symbolic link */
	char		type;
	uint64_t	size;
} TarMember;

/* State of the reading. */
typedef struct Tar
{
	Stream	   *in;
	TarMember	member;			/* the one under way */
	uint64_t	left;			/* bytes of it that nobody has read */
	uint64_t	padding;		/* behind it */
	char	   *problem;		/* why there is no further member, or NULL:
								 * the end */
} Tar;

extern bool is_tar(const unsigned char *start, size_t len);
extern void tar_open(Tar *tar, Stream *in);
extern bool tar_next(Tar *tar);
extern ssize_t tar_read(void *source, unsigned char *buffer, size_t size);
extern void tar_close(Tar *tar);

#endif							/* VOXANNE_AGENT_TAR_H */
