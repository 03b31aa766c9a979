/*
 * src/data/keyscan_store.c
 *		Where entries wait between being scanned and being matched.
 *
 * Each participant fills chunks of its own, one a partition, and pushes a full
 * one onto the partition's shared list.  Once the run has used up its memory, a
 * full chunk goes to the participant's temporary file instead, and only a
 * header that says where is pushed.  The files belong to a SharedFileSet:
 * temp_file_limit applies to them and they vanish with the run however it ends.
 */
#include "postgres.h"

#include "core/compat.h"
#include "data/keyscan_internal.h"
#include "data/keyscan_progress.h"
#include "miscadmin.h"
#include "utils/memutils.h"

struct StoreWriter
{
	Keyscan    *run;
	SharedSide *side;
	SharedPartition *partitions;
	int			npartitions;
	Chunk	  **chunks;			/* being filled, by partition */
	dsa_pointer *pointers;		/* the same as dsa sees them */
};

static Chunk *next_chunk(StoreWriter *writer, uint32 partition);
static void push_chunk(SharedPartition *partition, Chunk *chunk, dsa_pointer pointer);
static void spill_chunk(StoreWriter *writer, uint32 partition);
static int	own_file(Keyscan *run);
static BufFile *open_file(Keyscan *run, int file);
static void file_name(char *name, int file);

/*
 * Start writing entries of one side; lives in the current context.
 */
StoreWriter *
voxanne_entries_open(Keyscan *run, SharedSide *side)
{
	StoreWriter *writer = palloc0_object(StoreWriter);

	writer->run = run;
	writer->side = side;
	writer->partitions = side_partitions(run, side);
	writer->npartitions = 1 << side->partition_bits;
	writer->chunks = palloc0_array(Chunk *, writer->npartitions);
	writer->pointers = palloc0_array(dsa_pointer, writer->npartitions);
	return writer;
}

/*
 * Room for the next entry of the partition that the hash belongs to; valid
 * until the next call.
 */
void *
voxanne_entries_next(StoreWriter *writer, uint64 hash)
{
	uint32		partition = hash_partition(writer->side, hash);
	Chunk	   *chunk = writer->chunks[partition];
	void	   *entry;

	if (chunk == NULL || chunk->used + writer->side->entry_size > CHUNK_CAPACITY)
		chunk = next_chunk(writer, partition);
	entry = chunk->data + chunk->used;
	chunk->used += writer->side->entry_size;
	return entry;
}

/* Hand on a partition's full chunk, if there is one, and start an empty one. */
static Chunk *
next_chunk(StoreWriter *writer, uint32 partition)
{
	Chunk	   *chunk = writer->chunks[partition];

	if (chunk != NULL && !voxanne_entries_charge(writer->run, CHUNK_BYTES))
	{
		spill_chunk(writer, partition);
		return chunk;
	}
	if (chunk != NULL)
		push_chunk(&writer->partitions[partition], chunk, writer->pointers[partition]);
	else
		pg_atomic_fetch_add_u64(&writer->run->shared->memory_used, CHUNK_BYTES);

	writer->pointers[partition] = dsa_allocate(writer->run->area, CHUNK_BYTES);
	chunk = dsa_get_address(writer->run->area, writer->pointers[partition]);
	chunk->next = InvalidDsaPointer;
	chunk->used = 0;
	chunk->file = -1;
	writer->chunks[partition] = chunk;
	return chunk;
}

/* Prepend a chunk to a partition's list; others may do the same meanwhile. */
static void
push_chunk(SharedPartition *partition, Chunk *chunk, dsa_pointer pointer)
{
	uint64		head = pg_atomic_read_u64(&partition->chunks);

	do
		chunk->next = (dsa_pointer) head;
	while (!pg_atomic_compare_exchange_u64(&partition->chunks, &head, (uint64) pointer));
}

/* Write a full chunk to our file, leave a header on the list, empty the chunk. */
static void
spill_chunk(StoreWriter *writer, uint32 partition)
{
	Keyscan    *run = writer->run;
	Chunk	   *chunk = writer->chunks[partition];
	dsa_pointer pointer = dsa_allocate(run->area, sizeof(Chunk));
	Chunk	   *header = dsa_get_address(run->area, pointer);

	if (run->file == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(run->context);
		char		name[MAXPGPATH];

		file_name(name, own_file(run));
		run->file = BufFileCreateFileSet(&run->fileset->fs, name);
		MemoryContextSwitchTo(old);
	}
	header->used = chunk->used;
	header->file = own_file(run);
	BufFileTell(run->file, &header->fileno, &header->offset);
	BufFileWrite(run->file, chunk->data, chunk->used);
	pg_atomic_fetch_add_u64(&run->shared->spilled, chunk->used);
	voxanne_progress_spilled(run->shared->progress, chunk->used);
	push_chunk(&writer->partitions[partition], header, pointer);
	chunk->used = 0;
}

/*
 * Publish what is left in this participant's chunks.
 */
void
voxanne_entries_close(StoreWriter *writer)
{
	for (int i = 0; i < writer->npartitions; i++)
		if (writer->chunks[i] != NULL)
			push_chunk(&writer->partitions[i], writer->chunks[i], writer->pointers[i]);
	pfree(writer->chunks);
	pfree(writer->pointers);
	pfree(writer);
}

/*
 * Account for memory; false, and nothing accounted for, once the run has none
 * left.
 */
bool
voxanne_entries_charge(Keyscan *run, uint64 bytes)
{
	KeyscanShared *shared = run->shared;

	if (pg_atomic_fetch_add_u64(&shared->memory_used, bytes) + bytes <= shared->memory_limit)
		return true;
	pg_atomic_fetch_sub_u64(&shared->memory_used, bytes);
	return false;
}

void
voxanne_entries_return(Keyscan *run, uint64 bytes)
{
	pg_atomic_fetch_sub_u64(&run->shared->memory_used, bytes);
}

/*
 * Make what this participant wrote during the step readable to the others;
 * before the barrier that ends its scan.
 */
void
voxanne_entries_publish_file(Keyscan *run)
{
	if (run->file == NULL)
		return;
	BufFileExportFileSet(run->file);
	BufFileClose(run->file);
	run->file = NULL;
}

/* Close what was opened for reading during the step. */
void
voxanne_entries_close_files(Keyscan *run)
{
	for (int i = 0; i < run->shared->nparticipants; i++)
		if (run->opened[i] != NULL)
		{
			BufFileClose(run->opened[i]);
			run->opened[i] = NULL;
		}
}

/* Files are numbered by step and participant: an exported one takes no more. */
static int
own_file(Keyscan *run)
{
	return run->step * run->shared->nparticipants + run->number + 1;
}

static void
file_name(char *name, int file)
{
	snprintf(name, MAXPGPATH, "keyscan.%d", file);
}

static BufFile *
open_file(Keyscan *run, int file)
{
	BufFile   **opened = &run->opened[file % run->shared->nparticipants];

	if (*opened == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(run->context);
		char		name[MAXPGPATH];

		file_name(name, file);
		*opened = BufFileOpenFileSet(&run->fileset->fs, name, O_RDONLY, false);
		MemoryContextSwitchTo(old);
	}
	return *opened;
}

/*
 * Size of all entries of a partition.  Only after the barrier that ends the
 * scan, as all that follows.
 */
uint64
voxanne_entries_bytes(Keyscan *run, SharedSide *side, int partition)
{
	SharedPartition *part = &side_partitions(run, side)[partition];
	uint64		bytes = 0;

	for (dsa_pointer p = (dsa_pointer) pg_atomic_read_u64(&part->chunks); DsaPointerIsValid(p);)
	{
		Chunk	   *chunk = dsa_get_address(run->area, p);

		bytes += chunk->used;
		p = chunk->next;
	}
	return bytes;
}

/*
 * All entries of a partition side by side, in the current context.
 */
char *
voxanne_entries_read(Keyscan *run, SharedSide *side, int partition, uint64 *entries)
{
	SharedPartition *part = &side_partitions(run, side)[partition];
	uint64		bytes = voxanne_entries_bytes(run, side, partition);
	char	   *data = MemoryContextAllocHuge(CurrentMemoryContext, Max(bytes, 1));
	char	   *at = data;

	*entries = bytes / side->entry_size;
	for (dsa_pointer p = (dsa_pointer) pg_atomic_read_u64(&part->chunks); DsaPointerIsValid(p);)
	{
		Chunk	   *chunk = dsa_get_address(run->area, p);

		if (chunk->file < 0)
			memcpy(at, chunk->data, chunk->used);
		else
		{
			BufFile    *file = open_file(run, chunk->file);

			if (BufFileSeek(file, chunk->fileno, chunk->offset, SEEK_SET) != 0 ||
				BufFileRead(file, at, chunk->used) != chunk->used)
				ereport(ERROR,
						(errcode_for_file_access(),
						 errmsg("could not read temporary file of a data check: %m")));
		}
		at += chunk->used;
		p = chunk->next;
	}
	return data;
}

/*
 * Give a matched partition's chunks back.
 */
void
voxanne_entries_free(Keyscan *run, SharedSide *side, int partition)
{
	SharedPartition *part = &side_partitions(run, side)[partition];
	dsa_pointer p = (dsa_pointer) pg_atomic_exchange_u64(&part->chunks, InvalidDsaPointer);

	while (DsaPointerIsValid(p))
	{
		Chunk	   *chunk = dsa_get_address(run->area, p);
		dsa_pointer next = chunk->next;

		if (chunk->file < 0)
			voxanne_entries_return(run, CHUNK_BYTES);
		dsa_free(run->area, p);
		p = next;
	}
}
