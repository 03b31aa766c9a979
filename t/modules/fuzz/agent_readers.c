/*
 * t/modules/fuzz/agent_readers.c
 *		libFuzzer harness for what the agent reads of strangers: manifests and requests.
 *
 * Built and run by tools/fuzz.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../../src/agent/manifest.h"
#include "../../../src/agent/request.h"

int			LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A manifest that is understood finds each of its files again. */
static void
fuzz_manifest(int fd)
{
	Manifest	manifest;
	char	   *problem = NULL;

	(void) manifest_checksum_ok(fd, &problem);
	free(problem);
	if (manifest_read(&manifest, fd, &problem))
	{
		for (uint32_t i = 0; i < manifest.n_files; i++)
		{
			if (manifest_find(&manifest, manifest_file (&manifest, i)->path) != manifest_file (&manifest, i))
				abort();
		}
	}
	free(problem);
	/* what would live until the process ends, paths aside */
	for (uint32_t i = 0; i * FILES_PER_BLOCK < manifest.n_files; i++)
		free(manifest.blocks[i]);
	free(manifest.blocks);
	free(manifest.slots);
}

/* A request that is understood names one URL. */
static void
fuzz_request(int fd)
{
	static Report report;
	Request		request;

	memset(&report, 0, sizeof(report));
	if (lseek(fd, 0, SEEK_SET) == 0 && read_request(&report, &request, fd) && request.url == NULL)
		abort();
	forget_request(&request);
	free(report.error_message);
	free(report.error_hint);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int	fd = -1;

	if (fd < 0)
	{
		fd = memfd_create("input", 0);
		digest_load();
	}
	if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t) size)
		return 0;
	fuzz_manifest(fd);
	fuzz_request(fd);
	return 0;
}
