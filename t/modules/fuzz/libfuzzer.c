/*
 * t/modules/fuzz/libfuzzer.c
 *		libFuzzer's side: the reader that READER in the environment names.
 */
#include <stdio.h>
#include <stdlib.h>

#include "agent_readers.h"

int			LLVMFuzzerInitialize(int *argc, char ***argv);
int			LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t		LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t		LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

static const Reader *reader;

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	reader = find_reader(getenv("READER"));
	if (reader == NULL)
	{
		fprintf(stderr, "READER names no reader\n");
		exit(2);
	}
	prepare_readers();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_input(reader, data, size);
	return 0;
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	size = LLVMFuzzerMutate(data, size, max_size);
	/* now and then a wrong checksum, too */
	if (reader->repair != NULL && seed % 8 != 0)
		reader->repair(data, size);
	return size;
}
