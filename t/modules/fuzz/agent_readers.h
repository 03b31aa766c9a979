/*
 * t/modules/fuzz/agent_readers.h
 *		The readers of strangers' bytes, by name.
 */
#ifndef AGENT_READERS_H
#define AGENT_READERS_H

#include <stddef.h>
#include <stdint.h>

typedef struct Reader
{
	const char *name;			/* also of its directory in t/seeds */
	void		(*read) (const uint8_t *data, size_t size);

	/* make changed bytes get past a checksum; or NULL */
	void		(*repair) (uint8_t *data, size_t size);
} Reader;

/* Ends with a name NULL. */
extern const Reader readers[];

extern const Reader *find_reader(const char *name);
extern void prepare_readers(void);
extern void read_input(const Reader *reader, const uint8_t *data, size_t size);

#endif							/* AGENT_READERS_H */
