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

/* in inputs.c */
extern int	input_file(const uint8_t *data, size_t size);
extern char *input_text(const uint8_t *data, size_t size);
extern int	input_directory(const char *name);
extern void put_file(int dir, const char *name, const uint8_t *data, size_t size);

/* in live_memory.c */
extern void watch_memory(void);
extern void free_live(void);

/* in backup_readers.c */
extern void fuzz_manifest(const uint8_t *data, size_t size);
extern void fuzz_page(const uint8_t *data, size_t size);
extern void fuzz_incremental(const uint8_t *data, size_t size);
extern void fuzz_label(const uint8_t *data, size_t size);
extern void fuzz_control(const uint8_t *data, size_t size);
extern void repair_control(uint8_t *data, size_t size);
extern void fuzz_tar(const uint8_t *data, size_t size);
extern void fuzz_decompress(const uint8_t *data, size_t size);
extern void repair_tar(uint8_t *data, size_t size);

/* in catalog_readers.c */
extern void fuzz_catalog_pgbackrest(const uint8_t *data, size_t size);
extern void fuzz_catalog_barman(const uint8_t *data, size_t size);
extern void fuzz_catalog_walg(const uint8_t *data, size_t size);

/* in dump_readers.c */
extern void fuzz_dump_custom(const uint8_t *data, size_t size);
extern void fuzz_dump_tar(const uint8_t *data, size_t size);
extern void fuzz_dump_plain(const uint8_t *data, size_t size);
extern void fuzz_dump_directory(const uint8_t *data, size_t size);

/* in network_readers.c */
extern void fuzz_request(const uint8_t *data, size_t size);
extern void fuzz_s3(const uint8_t *data, size_t size);
extern void fuzz_supabase(const uint8_t *data, size_t size);
extern void fuzz_http(const uint8_t *data, size_t size);

/* in repository_readers.c */
extern void fuzz_pgbackrest_info(const uint8_t *data, size_t size);
extern void fuzz_pgbackrest_manifest(const uint8_t *data, size_t size);
extern void fuzz_barman_info(const uint8_t *data, size_t size);

/* in wal_readers.c */
extern void fuzz_wal(const uint8_t *data, size_t size);
extern void repair_wal(uint8_t *data, size_t size);
extern void fuzz_wal_name(const uint8_t *data, size_t size);
extern void fuzz_history(const uint8_t *data, size_t size);
extern void fuzz_backup_history(const uint8_t *data, size_t size);

#endif							/* AGENT_READERS_H */
