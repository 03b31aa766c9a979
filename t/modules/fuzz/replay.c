/*
 * t/modules/fuzz/replay.c
 *		Seeds and what becomes of them when they are cut and changed, always the same.
 *
 *	replay SEEDS ROUNDS		prints for each reader how many inputs it has read
 *
 * For machines without libFuzzer: with sanitizers the first fault ends the
 * process, and standard error says at which input.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent_readers.h"

#define MAX_SEED (1 << 20)
#define MAX_CUTS 200
#define LONGEST_READER 300		/* seconds; then it hangs */

/* What is under way, for the one who reads the report */
static char under_way[512];

void		__asan_on_error(void);

void
__asan_on_error(void)
{
	fprintf(stderr, "while reading %s\n", under_way);
}

static uint64_t random_state;

/* xorshift: the same numbers everywhere */
static uint64_t
next_random(uint64_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % below;
}

/* Change some bytes, take a piece out or put one in twice; the new size, at most twice the old one. */
static size_t
change(uint8_t *data, size_t size)
{
	static const uint8_t extremes[] = {0, 1, 0x7f, 0x80, 0xff, '0', '9', '-', '"', '\n', '/', ' '};
	size_t		at = (size_t) next_random(size);
	size_t		len = 1 + (size_t) next_random(size - at < 64 ? size - at : 64);

	switch (next_random(5))
	{
		case 0:
			data[at] ^= (uint8_t) (1 << next_random(8));
			return size;
		case 1:
			data[at] = extremes[next_random(sizeof(extremes))];
			return size;
		case 2:
			memset(data + at, extremes[next_random(sizeof(extremes))], len);
			return size;
		case 3:
			if (len == size)
				return size;
			memmove(data + at, data + at + len, size - at - len);
			return size - len;
		default:
			if (size + len > 2 * MAX_SEED)
				return size;
			memmove(data + at + len, data + at, size - at);
			return size + len;
	}
}

/* Have it read a copy of exactly this size, so that one byte further is noticed. */
static void
read_copy(const Reader *reader, const uint8_t *data, size_t size)
{
	uint8_t    *copy = malloc(size > 0 ? size : 1);

	memcpy(copy, data, size);
	read_input(reader, copy, size);
	free(copy);
}

/* One seed: whole, cut, changed.  How many inputs that were. */
static unsigned long
replay_seed(const Reader *reader, const char *path, unsigned long rounds)
{
	static uint8_t seed[MAX_SEED];
	static uint8_t changed[2 * MAX_SEED + 64];
	unsigned long n = 0;
	size_t		size;
	FILE	   *file = fopen(path, "rb");

	if (file == NULL)
		return 0;
	size = fread(seed, 1, sizeof(seed), file);
	fclose(file);
	snprintf(under_way, sizeof(under_way), "%s", path);
	read_copy(reader, seed, size);
	n++;
	for (size_t i = 0; i < MAX_CUTS && i < size; i++, n++)
	{
		size_t		cut = size <= MAX_CUTS ? i : size * i / MAX_CUTS;

		snprintf(under_way, sizeof(under_way), "%s cut to %zu bytes", path, cut);
		read_copy(reader, seed, cut);
	}
	for (unsigned long i = 0; i < rounds && size > 0; i++, n++)
	{
		size_t		length = size;

		random_state = UINT64_C(88172645463325252) + i;
		memcpy(changed, seed, size);
		for (uint64_t changes = 1 + next_random(6); changes > 0 && length > 0; changes--)
			length = change(changed, length);
		if (reader->repair != NULL && i % 8 != 0)
			reader->repair(changed, length);
		snprintf(under_way, sizeof(under_way), "%s changed in round %lu", path, i);
		read_copy(reader, changed, length);
	}
	return n;
}

static int
compare_names(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

int
main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	prepare_readers();
	for (const Reader *reader = readers; reader->name != NULL; reader++)
	{
		struct dirent **names;
		char		path[400];
		unsigned long n = 0;
		int			count;

		alarm(LONGEST_READER);
		snprintf(path, sizeof(path), "%s/%s", argv[1], reader->name);
		count = scandir(path, &names, NULL, compare_names);
		for (int i = 0; i < count; i++)
		{
			snprintf(path, sizeof(path), "%s/%s/%s", argv[1], reader->name, names[i]->d_name);
			if (names[i]->d_name[0] != '.')
				n += replay_seed(reader, path, strtoul(argv[2], NULL, 10));
			free(names[i]);
		}
		if (count >= 0)
			free(names);
		printf("%s %lu\n", reader->name, n);
		fflush(stdout);
	}
	return 0;
}
