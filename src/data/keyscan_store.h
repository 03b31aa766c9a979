/*
 * src/data/keyscan_store.h
 *		Entries: what is kept of a row until its table has been scanned.
 */
#ifndef VOXANNE_KEYSCAN_STORE_H
#define VOXANNE_KEYSCAN_STORE_H

#include "data/keyscan_internal.h"

/* A chunk of entries, header included. */
#define CHUNK_BYTES 8192

/* Bits of a RowId from which on a word has too few left for a hash. */
#define WIDE_ROW_BITS 33

/*
 * An entry begins with a word that holds its row and as much of its hash as
 * there is room for, see entry_word().  Less memory is what makes the scan
 * fast: where a hash that is cut short makes rows candidates that share no key,
 * the exact SQL drops them.
 */
typedef struct UniqueEntry
{
	uint64		word;
	uint64		hash;			/* absent where the word has enough of it */
} UniqueEntry;

typedef struct OverlapEntry
{
	uint64		word;
	int64		start;
	uint32		seconds;		/* its length, rounded up; PG_UINT32_MAX: has
								 * no end */
	uint32		hash;			/* the lower half */
} OverlapEntry;

/* Entries of one partition, in a list; those in a file have offset instead of data. */
typedef struct Chunk
{
	dsa_pointer next;
	uint32		used;			/* bytes of entries */
	int32		file;			/* the temporary file that holds them; -1:
								 * they follow here */
	int			fileno;
	off_t		offset;
	char		data[FLEXIBLE_ARRAY_MEMBER];
} Chunk;

#define CHUNK_CAPACITY (CHUNK_BYTES - offsetof(Chunk, data))

/* Memory that chunks are cut from, in a participant's list. */
typedef struct Slab
{
	dsa_pointer next;
	Size		bytes;
} Slab;

/* Where the next entry of a partition goes. */
typedef struct StoreCursor
{
	char	   *at;
	Size		left;
} StoreCursor;

/* Has copies of what every row needs: what is shared may be being written to. */
typedef struct StoreWriter
{
	Size		entry_size;
	int			partition_bits;
	StoreCursor *cursors;		/* by partition */
	Keyscan    *run;
	SharedSide *side;
	SharedPartition *partitions;
	Chunk	  **chunks;			/* being filled, by partition */
	dsa_pointer *pointers;		/* the same as dsa sees them */
} StoreWriter;

typedef struct StoreReader
{
	char	   *data;			/* entries side by side */
	uint32		bytes;
	dsa_pointer next;
} StoreReader;

/* in keyscan_store.c */
extern StoreWriter *voxanne_entries_open(Keyscan *run, SharedSide *side);
extern void voxanne_entries_grow(StoreWriter *writer, uint32 partition);
extern void voxanne_entries_close(StoreWriter *writer);
extern void voxanne_entries_publish_file(Keyscan *run);
extern void voxanne_entries_close_files(Keyscan *run);
extern uint64 voxanne_entries_count(Keyscan *run, SharedSide *side, int partition);
extern void voxanne_entries_begin(Keyscan *run, SharedSide *side, int partition, StoreReader *reader);
extern bool voxanne_entries_read(Keyscan *run, StoreReader *reader);
extern void voxanne_entries_forget(Keyscan *run, SharedSide *side, int partition);
extern void voxanne_entries_release(Keyscan *run);

/*
 * An entry's first word: from the top, the hash without the bits that say which
 * partition; the row; a bit that matching is free to use.
 */
static inline uint64
entry_word(const SharedSide *side, uint64 hash, RowId row)
{
	uint64		row_mask = ~UINT64CONST(0) >> (63 - side->row_bits);

	return ((hash << side->partition_bits) & ~row_mask) | row << 1;
}

static inline RowId
entry_row(const SharedSide *side, uint64 word)
{
	return (word & (~UINT64CONST(0) >> (63 - side->row_bits))) >> 1;
}

/* Do two words have the same hash, as far as they hold it? */
static inline bool
entry_words_match(const SharedSide *side, uint64 a, uint64 b)
{
	return (a ^ b) >> side->row_bits >> 1 == 0;
}

/* Copy a carried key, most often a uuid or an integer, without a call. */
static inline void
copy_words(uint64 *to, const uint64 *from, int words)
{
	if (words > 2)
		memcpy(to, from, words * sizeof(uint64));
	else if (words > 0)
	{
		to[0] = from[0];
		to[words - 1] = from[words - 1];
	}
}

/*
 * Room for the next entry of the partition that the hash belongs to; valid
 * until the next call.
 */
static inline void *
voxanne_entries_next(StoreWriter *writer, uint64 hash)
{
	uint32		partition = writer->partition_bits == 0 ? 0 : (uint32) (hash >> (64 - writer->partition_bits));
	StoreCursor *cursor = &writer->cursors[partition];
	void	   *entry;

	if (unlikely(cursor->left < writer->entry_size))
		voxanne_entries_grow(writer, partition);
	entry = cursor->at;
	cursor->at += writer->entry_size;
	cursor->left -= writer->entry_size;
	return entry;
}

#endif							/* VOXANNE_KEYSCAN_STORE_H */
