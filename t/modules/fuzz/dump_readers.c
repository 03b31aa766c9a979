/*
 * t/modules/fuzz/dump_readers.c
 *		Dumps in each format.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent_readers.h"

#include "../../../src/agent/dump.h"

/* A dump in a file, or in a directory, whatever it begins with. */
static void
verify_input(const DumpFormat *format, int fd, bool is_directory, size_t size)
{
	static Report report;
	static DumpRun run;
	static Options options = {.level = "verify",.jobs = 1};
	WantedTable wanted = {.schema = "public",.name = "t",.label = "public.t"};
	Dump		dump = {.fd = fd,.is_directory = is_directory,.id = "input",.path = "input",.format = format,.size = size,.wanted = &wanted,.n_wanted = 1};

	memset(&report, 0, sizeof(report));
	memset(&run, 0, sizeof(run));
	run.report = &report;
	run.dump = &dump;
	run.options = &options;
	run.deep = true;
	run.header = report_check(&report, "dump_header");
	pace_start(&run.pace, &options, size);
	if (!is_directory)
		file_source_open(&run.file, fd, NULL, false);
	format->verify(&run);
	conclude_tables(&run);
	conclude_kinds_of_data(&run);
	if (!is_directory)
		file_source_close(&run.file);
}

void
fuzz_dump_custom(const uint8_t *data, size_t size)
{
	verify_input(&custom_format, input_file(data, size), false, size);
}

void
fuzz_dump_tar(const uint8_t *data, size_t size)
{
	verify_input(&tar_format, input_file(data, size), false, size);
}

void
fuzz_dump_plain(const uint8_t *data, size_t size)
{
	verify_input(&plain_format, input_file(data, size), false, size);
}

/* Can it be the name of a file here, and of none of ours? */
static bool
is_plain_name(const char *name)
{
	return *name != '\0' && *name != '.' && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.") == strlen(name);
}

/* Files of a directory: each begins with a line "name length\n". */
void
fuzz_dump_directory(const uint8_t *data, size_t size)
{
	static int	dir = -1;
	char		names[8][32];
	int			n = 0;
	size_t		pos = 0;

	if (dir < 0)
		dir = input_directory("dump_directory");
	while (n < 8 && pos < size)
	{
		const uint8_t *end = memchr(data + pos, '\n', size - pos < 60 ? size - pos : 60);
		char		line[64] = "";
		size_t		len;

		if (end == NULL)
			break;
		memcpy(line, data + pos, (size_t) (end - data) - pos);
		pos = (size_t) (end - data) + 1;
		if (sscanf(line, "%31s %zu", names[n], &len) != 2 || !is_plain_name(names[n]))
			break;
		len = len < size - pos ? len : size - pos;
		put_file(dir, names[n], data + pos, len);
		pos += len;
		n++;
	}
	verify_input(&directory_format, dir, true, size);
	for (int i = 0; i < n; i++)
		unlinkat(dir, names[i], 0);
}
