/*
 * src/data/keyscan_store.c
 *		Where entries wait between being scanned and being matched.
 *
 * Each participant fills chunks of its own, one a partition, and pushes a full
 * one onto the partition's shared list.  Once the run has used up its memory, a
 * full chunk goes to the participant's temporary file instead, and only a
 * header that says where is pushed.  The files belong to a SharedFileSet:
 * temp_file_limit applies to them and they vanish with the run however it ends.
 * Chunks are cut from slabs, see keyscan_memory.c.
 */
#include "postgres.h"

#include "core/compat.h"
#include "data/keyscan_progress.h"
#include "data/keyscan_store.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* Slabs grow from the one size to the other, so that a small table costs little. */
#define FIRST_SLAB_BYTES (64 * 1024)
#define LAST_SLAB_BYTES (1024 * 1024)

/* A slab's header, and room for one chunk. */
#define LEAST_SLAB_BYTES (MAXALIGN(sizeof(Slab)) + CHUNK_BYTES)

static Chunk *take_chunk(StoreWriter *writer, bool must, dsa_pointer *pointer);
static bool take_slab(StoreWriter *writer, bool must);
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
	writer->entry_size = side->entry_size;
	writer->partition_bits = side->partition_bits;
	writer->cursors = palloc0_array(StoreCursor, 1 << side->partition_bits);
	writer->chunks = palloc0_array(Chunk *, 1 << side->partition_bits);
	writer->pointers = palloc0_array(dsa_pointer, 1 << side->partition_bits);
	return writer;
}

/*
 * Hand on a partition's full chunk, if there is one, and start an empty one.
 */
void
voxanne_entries_grow(StoreWriter *writer, uint32 partition)
{
	StoreCursor *cursor = &writer->cursors[partition];
	Chunk	   *full = writer->chunks[partition];
	Chunk	   *chunk;
	dsa_pointer pointer;

	if (full != NULL)
		full->used = CHUNK_CAPACITY - cursor->left;
	chunk = take_chunk(writer, full == NULL, &pointer);
	if (chunk == NULL)
	{
		spill_chunk(writer, partition);
		chunk = full;
	}
	else
	{
		if (full != NULL)
			push_chunk(&writer->partitions[partition], full, writer->pointers[partition]);
		writer->chunks[partition] = chunk;
		writer->pointers[partition] = pointer;
	}
	cursor->at = chunk->data;
	cursor->left = CHUNK_CAPACITY;
}

/* An empty chunk; NULL if there is no memory for it, unless there must be one. */
static Chunk *
take_chunk(StoreWriter *writer, bool must, dsa_pointer *pointer)
{
	Keyscan    *run = writer->run;
	Chunk	   *chunk;

	if (run->slab_left < CHUNK_BYTES && !take_slab(writer, must))
		return NULL;
	*pointer = run->slab_rest;
	run->slab_rest += CHUNK_BYTES;
	run->slab_left -= CHUNK_BYTES;
	chunk = dsa_get_address(run->area, *pointer);
	chunk->next = InvalidDsaPointer;
	chunk->file = -1;
	return chunk;
}

/*
 * Get memory for chunks, as much at once as there is to be had.  A parent's
 * entries leave half of the run's memory to the sets that are built from them.
 */
static bool
take_slab(StoreWriter *writer, bool must)
{
	Keyscan    *run = writer->run;
	uint64		limit = voxanne_entries_limit(run) / (writer->side->kind == SIDE_PARENT ? 2 : 1);
	Size		bytes = Min(Max(run->slab_bytes * 2, FIRST_SLAB_BYTES), LAST_SLAB_BYTES);
	dsa_pointer pointer;
	Slab	   *slab;

	while (!DsaPointerIsValid(pointer = voxanne_allocate(run, bytes, limit)))
	{
		if (bytes > LEAST_SLAB_BYTES)
			bytes = Max(bytes / 2, LEAST_SLAB_BYTES);
		else if (!must)
			return false;
		else
		{
			pointer = voxanne_allocate_anyway(run, bytes);
			break;
		}
	}
	slab = dsa_get_address(run->area, pointer);
	voxanne_populate(slab, bytes);
	slab->next = run->slabs;
	slab->bytes = bytes;
	run->slabs = pointer;
	run->slab_bytes = bytes;
	run->slab_rest = pointer + MAXALIGN(sizeof(Slab));
	run->slab_left = bytes - MAXALIGN(sizeof(Slab));
	return true;
}

/* Prepend a chunk to a partition's list; others may do the same meanwhile. */
static void
push_chunk(SharedPartition *partition, Chunk *chunk, dsa_pointer pointer)
{
	uint64		head = pg_atomic_read_u64(&partition->chunks);

	pg_atomic_fetch_add_u64(&partition->bytes, chunk->used);
	do
		chunk->next = (dsa_pointer) head;
	while (!pg_atomic_compare_exchange_u64(&partition->chunks, &head, (uint64) pointer));
}

/* Write a full chunk to our file and leave a header on the list. */
static void
spill_chunk(StoreWriter *writer, uint32 partition)
{
	Keyscan    *run = writer->run;
	Chunk	   *chunk = writer->chunks[partition];
	dsa_pointer pointer = voxanne_allocate_anyway(run, sizeof(Chunk));
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
}

/*
 * Publish what is left in this participant's chunks.
 */
void
voxanne_entries_close(StoreWriter *writer)
{
	for (int i = 0; i < 1 << writer->partition_bits; i++)
	{
		Chunk	   *chunk = writer->chunks[i];

		if (chunk == NULL)
			continue;
		chunk->used = CHUNK_CAPACITY - writer->cursors[i].left;
		push_chunk(&writer->partitions[i], chunk, writer->pointers[i]);
	}
	pfree(writer->cursors);
	pfree(writer->chunks);
	pfree(writer->pointers);
	pfree(writer);
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
 * Entries of a partition.  Only after the barrier that ends the scan, as all
 * that follows.
 */
uint64
voxanne_entries_count(Keyscan *run, SharedSide *side, int partition)
{
	return pg_atomic_read_u64(&side_partitions(run, side)[partition].bytes) / side->entry_size;
}

/*
 * Start reading the entries of a partition.
 */
void
voxanne_entries_begin(Keyscan *run, SharedSide *side, int partition, StoreReader *reader)
{
	reader->next = (dsa_pointer) pg_atomic_read_u64(&side_partitions(run, side)[partition].chunks);
}

/*
 * Read some more; false if there are none.
 */
bool
voxanne_entries_read(Keyscan *run, StoreReader *reader)
{
	Chunk	   *chunk;

	if (!DsaPointerIsValid(reader->next))
		return false;
	chunk = dsa_get_address(run->area, reader->next);
	reader->next = chunk->next;
	reader->bytes = chunk->used;
	reader->data = chunk->data;
	if (chunk->file >= 0)
	{
		BufFile    *file = open_file(run, chunk->file);

		reader->data = voxanne_scratch(run, SCRATCH_CHUNK, CHUNK_BYTES);
		if (BufFileSeek(file, chunk->fileno, chunk->offset, SEEK_SET) != 0 ||
			BufFileRead(file, reader->data, chunk->used) != chunk->used)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not read temporary file of a data check: %m")));
	}
	return true;
}

/*
 * A partition has been matched: nobody will ask for its entries again.
 */
void
voxanne_entries_forget(Keyscan *run, SharedSide *side, int partition)
{
	SharedPartition *part = &side_partitions(run, side)[partition];
	dsa_pointer p = (dsa_pointer) pg_atomic_exchange_u64(&part->chunks, InvalidDsaPointer);

	while (DsaPointerIsValid(p))
	{
		Chunk	   *chunk = dsa_get_address(run->area, p);
		dsa_pointer next = chunk->next;

		if (chunk->file >= 0)
			voxanne_free(run, p, sizeof(Chunk));
		p = next;
	}
}

/*
 * Give this participant's slabs back, once all partitions have been matched.
 */
void
voxanne_entries_release(Keyscan *run)
{
	while (DsaPointerIsValid(run->slabs))
	{
		dsa_pointer pointer = run->slabs;
		Slab	   *slab = dsa_get_address(run->area, pointer);

		run->slabs = slab->next;
		voxanne_free(run, pointer, slab->bytes);
	}
	run->slab_left = run->slab_bytes = 0;
}
