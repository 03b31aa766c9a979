/*
 * t/modules/fuzz/catalog_readers.c
 *		What backup tools print of their backups.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent_readers.h"

#include "../../../src/agent/catalog.h"

#define SYSTEM_IDENTIFIER UINT64_C(7711802984413348534)
#define NOW INT64_C(1769600000)

/* The input as what the runs printed one after the other, with an empty line between two. */
static void
split_runs(const char *text, ProgramOutput *outputs, int n)
{
	for (int i = 0; i < n; i++)
	{
		const char *end = i == n - 1 ? NULL : strstr(text, "\n\n");

		outputs[i].len = end == NULL ? strlen(text) : (size_t) (end - text);
		outputs[i].text = format("%.*s", (int) outputs[i].len, text);
		text = end == NULL ? "" : end + 2;
	}
}

/* A list that is understood can be judged and printed: its backups have what that needs. */
static void
read_list(const CatalogTool *tool, const uint8_t *data, size_t size)
{
	static Report report;
	static FILE *nowhere;
	ProgramOutput outputs[MAX_PROGRAM_RUNS] = {0};
	Catalog		catalog = {.tool = tool,.name = "main"};
	JsonWriter	writer = {.first = true};

	if (nowhere == NULL && (nowhere = fopen("/dev/null", "w")) == NULL)
		abort();
	writer.out = nowhere;
	split_runs(input_text(data, size), outputs, tool->runs);
	if (tool->read(&catalog, outputs) != NULL)
		return;
	for (int i = 0; i < catalog.n_backups; i++)
	{
		const CatalogBackup *backup = &catalog.backups[i];

		if (backup->id == NULL || backup->type == NULL || (backup->complete && backup->finished_at < 0))
			abort();
	}
	memset(&report, 0, sizeof(report));
	judge_catalog(&report, &catalog, SYSTEM_IDENTIFIER, NOW);
	if (catalog.found != NULL && (!catalog.found->complete || catalog.found->foreign))
		abort();
	json_open(&writer, NULL, '{');
	print_catalog(&writer, &catalog, NOW);
	json_close(&writer, '}');
}

void
fuzz_catalog_pgbackrest(const uint8_t *data, size_t size)
{
	read_list(&pgbackrest_tool, data, size);
}

void
fuzz_catalog_barman(const uint8_t *data, size_t size)
{
	read_list(&barman_tool, data, size);
}

void
fuzz_catalog_walg(const uint8_t *data, size_t size)
{
	read_list(&walg_tool, data, size);
}
