/*
 * t/modules/fuzz/agent_readers.c
 *		What the agent reads of strangers: the table of readers.
 *
 * Built and run by tools/fuzz with libFuzzer, which takes the reader's name
 * from the environment (READER), and by t/fuzz.pl with a loop of its own
 * (replay.c).  A reader aborts when what it was told cannot be.
 */
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "agent_readers.h"

#include "../../../src/agent/digest.h"
#include "../../../src/agent/page.h"

/* tools/fuzz reads the names here */
const Reader readers[] = {
	{"backup_history", fuzz_backup_history},
	{"barman_info", fuzz_barman_info},
	{"catalog_barman", fuzz_catalog_barman},
	{"catalog_pgbackrest", fuzz_catalog_pgbackrest},
	{"catalog_walg", fuzz_catalog_walg},
	{"control", fuzz_control, repair_control},
	{"decompress", fuzz_decompress},
	{"dump_custom", fuzz_dump_custom},
	{"dump_directory", fuzz_dump_directory},
	{"dump_plain", fuzz_dump_plain},
	{"dump_tar", fuzz_dump_tar, repair_tar},
	{"history", fuzz_history},
	{"http", fuzz_http},
	{"incremental", fuzz_incremental},
	{"label", fuzz_label},
	{"manifest", fuzz_manifest},
	{"page", fuzz_page},
	{"pgbackrest_info", fuzz_pgbackrest_info},
	{"pgbackrest_manifest", fuzz_pgbackrest_manifest},
	{"request", fuzz_request},
	{"s3", fuzz_s3},
	{"supabase", fuzz_supabase},
	{"tar", fuzz_tar, repair_tar},
	{"wal", fuzz_wal, repair_wal},
	{"wal_name", fuzz_wal_name},
	{NULL}
};

/* The reader of this name, or NULL. */
const Reader *
find_reader(const char *name)
{
	for (const Reader *reader = readers; reader->name != NULL; reader++)
	{
		if (name != NULL && strcmp(reader->name, name) == 0)
			return reader;
	}
	return NULL;
}

/* To be called once. */
void
prepare_readers(void)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		abort();
	digest_load();
	page_init();
	watch_memory();
}

/* One run. */
void
read_input(const Reader *reader, const uint8_t *data, size_t size)
{
	reader->read(data, size);
	free_live();
}
