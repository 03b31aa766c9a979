/*
 * src/agent/work.c
 *		The reading of a backup, cut into units for several threads.
 *
 * Whoever is free takes the next unit; the large ones come first, so that all
 * end at about the same time.  A file whose checksum can be put together from
 * those of its parts is cut, so that one file of 1 GB does not keep one thread
 * busy when the others have nothing left.  Small files stay in the manifest's
 * order, in which neighbours share a directory.
 */
#include "work.h"

#include <stdlib.h>

#define SIZE_CLASS 20			/* units are told apart by whole MiB */

/* Pieces of a file: 1 if it is not cut. */
static uint32_t
pieces_of(const ManifestFile *file)
{
	if (file->digest_kind != DIGEST_CRC32C && file->digest_kind != DIGEST_NONE)
		return 1;
	return file->size <= PIECE_SIZE ? 1 : (uint32_t) ((file->size + PIECE_SIZE - 1) / PIECE_SIZE);
}

/* Room for what is wanted. */
static void
count_work(Work *work, const Manifest *manifest)
{
	for (uint32_t i = 0; i < manifest->n_files; i++)
	{
		const ManifestFile *file = manifest_file (manifest, i);
		uint32_t	n = pieces_of(file);

		if (!file->wanted)
			continue;
		work->n_units += n;
		work->bytes += file->size;
		if (n > 1)
		{
			work->n_splits++;
			work->n_pieces += n;
		}
	}
	work->units = xmalloc(work->n_units * sizeof(Unit));
	work->splits = xmalloc(work->n_splits * sizeof(Split));
	work->pieces = xmalloc(work->n_pieces * sizeof(Piece));
}

static uint64_t
unit_class(const Unit *unit, const Manifest *manifest)
{
	return unit->piece == NO_PIECE ? manifest_file (manifest, unit->file)->size >> SIZE_CLASS :
				PIECE_SIZE >> SIZE_CLASS;
}

static int
compare_units(const void *a, const void *b, void *manifest)
{
	const Unit *x = a;
	const Unit *y = b;
	uint64_t	x_class = unit_class(x, manifest);
	uint64_t	y_class = unit_class(y, manifest);

	if (x_class != y_class)
		return x_class > y_class ? -1 : 1;
	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	return x->piece < y->piece ? -1 : x->piece > y->piece;
}

/* Plan the reading of all files that are wanted. */
void
work_plan(Work *work, const Manifest *manifest)
{
	uint32_t	unit = 0;
	uint32_t	split = 0;
	uint32_t	piece = 0;

	*work = (Work)
	{
		0
	};
	count_work(work, manifest);
	for (uint32_t i = 0; i < manifest->n_files; i++)
	{
		const ManifestFile *file = manifest_file (manifest, i);
		uint32_t	n = pieces_of(file);

		if (!file->wanted)
			continue;
		if (n == 1)
		{
			work->units[unit++] = (Unit)
			{
				i, NO_PIECE
			};
			continue;
		}
		work->splits[split] = (Split)
		{
			.file = i,.first_piece = piece,.n_pieces = n,.left = n
		};
		for (uint32_t j = 0; j < n; j++, piece++)
		{
			work->pieces[piece] = (Piece)
			{
				.split = split
			};
			work->units[unit++] = (Unit)
			{
				i, piece
			};
		}
		split++;
	}
	qsort_r(work->units, work->n_units, sizeof(Unit), compare_units, (void *) manifest);
}

/* The next unit, for any thread; NULL if there is none. */
const Unit *
work_next(Work *work)
{
	uint32_t	i = work->next++;

	return i < work->n_units ? &work->units[i] : NULL;
}

/* Where in its file a piece begins and ends. */
uint64_t
piece_start(const Work *work, uint32_t piece)
{
	return (piece - work->splits[work->pieces[piece].split].first_piece) * PIECE_SIZE;
}

uint64_t
piece_end(const Work *work, const Manifest *manifest, uint32_t piece)
{
	uint64_t	end = piece_start(work, piece) + PIECE_SIZE;
	uint64_t	size = manifest_file (manifest, work->splits[work->pieces[piece].split].file)->size;

	return end < size ? end : size;
}

void
work_free(Work *work)
{
	free(work->units);
	free(work->splits);
	free(work->pieces);
}
