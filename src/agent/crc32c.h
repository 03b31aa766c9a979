/*
 * src/agent/crc32c.h
 *		CRC-32C of WAL records, pg_control and manifests.
 */
#ifndef VOXANNE_AGENT_CRC32C_H
#define VOXANNE_AGENT_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/*
 * A checksum in the making: starts as CRC32C_INIT, is passed through
 * crc32c_add() for every part of the data, and ends as crc32c_end() of it.
 */
#define CRC32C_INIT UINT32_C(0xffffffff)

typedef uint32_t (*Crc32cAdd) (uint32_t crc, const void *data, size_t len);

/* One way to compute it; all give the same. */
typedef struct Crc32cMethod
{
	const char *name;
	Crc32cAdd	add;
} Crc32cMethod;

/* Set by crc32c_init(), which comes before everything else and before any thread. */
extern Crc32cAdd crc32c_add;
extern void crc32c_init(void);

/* The methods that this processor has, the one in use first; ends with a NULL name. */
extern const Crc32cMethod *crc32c_methods(void);

static inline uint32_t
crc32c_end(uint32_t crc)
{
	return crc ^ UINT32_C(0xffffffff);
}

extern uint32_t crc32c_join(uint32_t first, uint32_t second, uint64_t second_len);

#endif							/* VOXANNE_AGENT_CRC32C_H */
