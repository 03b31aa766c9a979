/*
 * src/data/keyscan_emit.c
 *		What each side makes of the rows of a table.
 *
 * A side has its function, chosen once for the whole step, that takes a batch of
 * rows: those that the side does not pass over are chosen first, then their
 * keys are read, then something is done with them.
 */
#include "postgres.h"

#include "core/compat.h"
#include "data/keyscan_emit.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

static bool open_emitter(Keyscan *run, SharedSide *side, Emitter *emitter);
static void choose_function(Emitter *emitter);
static AttrNumber point_at_leaf(Emitter *emitter, Relation rel);
static void want_columns(const Emitter *emitter, RowReader *rows);
static void find_skipped(const Emitter *emitter, Batch *batch);
static void skip_rows(const VoxScanSkip *skip, const RowBatch *rows, bool *skipped);
static void choose_rows(const Emitter *emitter, Batch *batch);
static void emit_rules(Emitter *emitter, Batch *batch);
static void emit_labels(Emitter *emitter, Batch *batch);
static void emit_unique(Emitter *emitter, Batch *batch);
static void emit_overlap(Emitter *emitter, Batch *batch);
static void emit_parent(Emitter *emitter, Batch *batch);
static void emit_parent_value(Emitter *emitter, Batch *batch);
static void emit_child_value(Emitter *emitter, Batch *batch);
static void emit_child(Emitter *emitter, Batch *batch);
static void follow_leader(Emitter *emitter, Batch *batch);
static void store_child(Emitter *emitter, const Batch *batch);
static uint32 seconds_to(int64 start, int64 end);

/*
 * Open the emitters of the present step into an array with room for all sides;
 * returns how many there are.  Leaders come before those that follow them.
 */
int
voxanne_emitters_open(Keyscan *run, Emitter *emitters)
{
	int			count = 0;

	for (int i = 0; i < run->shared->nsides; i++)
		if (run->sides[i].leader < 0)
			count += open_emitter(run, &run->sides[i], &emitters[count]);
	for (int i = 0; i < run->shared->nsides; i++)
	{
		Emitter    *emitter = &emitters[count];

		if (run->sides[i].leader < 0 || !open_emitter(run, &run->sides[i], emitter))
			continue;
		for (int j = 0; j < count; j++)
			if (emitters[j].side == &run->sides[run->sides[i].leader])
				emitter->leader = &emitters[j];
		if (emitter->leader != NULL)
			voxanne_probe_follow(emitter->prober, emitter->leader->prober);
		count++;
	}
	return count;
}

/*
 * False if the side has nothing to do with the step, or is a child whose
 * parent's keys did not fit in memory, which cannot be answered here.
 */
static bool
open_emitter(Keyscan *run, SharedSide *side, Emitter *emitter)
{
	if (side->step != run->step)
		return false;
	if (side->kind == SIDE_CHILD &&
		pg_atomic_read_u32(&run->sides[side->parent].overflow) != 0)
	{
		pg_atomic_write_u32(&side->overflow, 1);
		return false;
	}
	emitter->side = side;
	emitter->question = side->kind == SIDE_PARENT ? NULL : &run->questions[side->question];
	if (side->by_value)
		emitter->values = voxanne_value_open(run, side);
	else if (side->kind == SIDE_RULES)
		emitter->rules = voxanne_rules_open(run, side);
	else if (side->kind == SIDE_LABELS)
		emitter->labels = voxanne_labels_open(run, side);
	else if (side->kind == SIDE_CHILD)
		emitter->prober = voxanne_probe_open(run, side);
	if (side->entry_size > 0)
		emitter->writer = voxanne_entries_open(run, side);
	choose_function(emitter);
	return true;
}

/* What the side does with a batch. */
static void
choose_function(Emitter *emitter)
{
	bool		by_value = emitter->side->by_value;

	switch (emitter->side->kind)
	{
		case SIDE_UNIQUE:
			emitter->emit = emit_unique;
			break;
		case SIDE_OVERLAP:
			emitter->emit = emit_overlap;
			break;
		case SIDE_PARENT:
			emitter->emit = by_value ? emit_parent_value : emit_parent;
			break;
		case SIDE_CHILD:
			emitter->emit = by_value ? emit_child_value : emit_child;
			break;
		case SIDE_RULES:
			emitter->emit = emit_rules;
			break;
		case SIDE_LABELS:
			emitter->emit = emit_labels;
			break;
	}
}

/*
 * Find the columns of all emitters in a leaf; returns the last that is read.
 */
AttrNumber
voxanne_emitters_point(Emitter *emitters, int count, Relation leaf)
{
	AttrNumber	last = 0;

	for (int i = 0; i < count; i++)
	{
		AttrNumber	wanted = point_at_leaf(&emitters[i], leaf);

		last = Max(last, wanted);
		emitters[i].same_skips = i > 0 && emitters[i].nskips == emitters[i - 1].nskips &&
			memcmp(emitters[i].skips, emitters[i - 1].skips, sizeof(VoxScanSkip) * emitters[i].nskips) == 0;
	}
	return last;
}

/* Find an emitter's columns in a leaf; returns the last of them. */
static AttrNumber
point_at_leaf(Emitter *emitter, Relation rel)
{
	const VoxScanKey *key = &emitter->side->key;
	const VoxScanQuestion *question = emitter->question;
	Oid			leaf = RelationGetRelid(rel);
	AttrNumber	last = 0;

	if (emitter->values != NULL)
		last = voxanne_value_point(emitter->values, leaf);
	else if (emitter->rules != NULL)
		last = voxanne_rules_point(emitter->rules, rel);
	else
		voxanne_key_open(&emitter->reader, key, leaf, emitter->side->words);
	for (int i = 0; i < emitter->reader.ncols; i++)
		last = Max(last, emitter->reader.cols[i].attnum);
	emitter->nskips = key->nskips;
	for (int i = 0; i < key->nskips; i++)
	{
		emitter->skips[i] = key->skips[i];
		emitter->skips[i].attnum = voxanne_leaf_column(key, key->skips[i].attnum, leaf);
		last = Max(last, emitter->skips[i].attnum);
	}
	if (question == NULL)
		return last;
	voxanne_time_open(&emitter->times, question, leaf);
	return Max(Max(last, emitter->times.length), Max(emitter->times.start, emitter->times.end));
}

/* Have an emitter's columns read. */
static void
want_columns(const Emitter *emitter, RowReader *rows)
{
	const AttrNumber times[] = {emitter->times.start, emitter->times.end, emitter->times.length};

	if (emitter->values != NULL)
		voxanne_value_want(emitter->values, rows);
	if (emitter->rules != NULL)
		voxanne_rules_want(emitter->rules, rows);
	for (int i = 0; i < emitter->reader.ncols; i++)
		voxanne_row_want(rows, emitter->reader.cols[i].attnum);
	for (int i = 0; i < emitter->nskips; i++)
		voxanne_row_want(rows, emitter->skips[i].attnum);
	for (int i = 0; i < (int) lengthof(times); i++)
		if (times[i] != 0)
			voxanne_row_want(rows, times[i]);
}

/*
 * Rows of the leaf will be read by "rows", "last" columns of each.
 */
void
voxanne_emitters_begin(Emitter *emitters, int count, RowReader *rows, AttrNumber last)
{
	for (int i = 0; i < count; i++)
	{
		want_columns(&emitters[i], rows);
		if (emitters[i].rules != NULL)
			voxanne_rules_begin(emitters[i].rules, last);
	}
}

/*
 * The leaf's rows have been read.
 */
void
voxanne_emitters_end(Emitter *emitters, int count)
{
	for (int i = 0; i < count; i++)
		if (emitters[i].rules != NULL)
			voxanne_rules_end(emitters[i].rules);
}

/*
 * Hand a batch of rows to one side; to all of a step's, in their order.
 */
void
voxanne_emit(Emitter *emitter, Batch *batch)
{
	if (!emitter->same_skips)
		find_skipped(emitter, batch);
	emitter->emit(emitter, batch);
}

/* Which rows match any of the side's skips? */
static void
find_skipped(const Emitter *emitter, Batch *batch)
{
	memset(batch->skipped, 0, batch->rows.count * sizeof(bool));
	for (int i = 0; i < emitter->nskips; i++)
		skip_rows(&emitter->skips[i], &batch->rows, batch->skipped);
}

static void
skip_rows(const VoxScanSkip *skip, const RowBatch *rows, bool *skipped)
{
	const Datum *values = batch_values(rows, skip->attnum);
	const bool *isnull = batch_nulls(rows, skip->attnum);

	for (int r = 0; r < rows->count; r++)
		switch (skip->kind)
		{
			case VOX_SKIP_NOT_NULL:
				skipped[r] |= !isnull[r];
				break;
			case VOX_SKIP_TRUE:
				skipped[r] |= !isnull[r] && DatumGetBool(values[r]);
				break;
			case VOX_SKIP_BEFORE:
				skipped[r] |= isnull[r] || DatumGetInt64(values[r]) < skip->operand;
				break;
			case VOX_SKIP_EQUAL:
				skipped[r] |= !isnull[r] && DatumGetInt32(values[r]) == (int32) skip->operand;
				break;
		}
}

/* Put the numbers of the rows that the side does not pass over into the batch's keys. */
static void
choose_rows(const Emitter *emitter, Batch *batch)
{
	bool		wanted = emitter->side->key.only_skipped;
	int			count = 0;

	for (int r = 0; r < batch->rows.count; r++)
	{
		batch->keys.rows[count] = r;
		count += batch->skipped[r] == wanted;
	}
	batch->keys.count = count;
}

static void
emit_rules(Emitter *emitter, Batch *batch)
{
	voxanne_rules_count(emitter->rules, &batch->rows, batch->skipped);
}

static void
emit_labels(Emitter *emitter, Batch *batch)
{
	choose_rows(emitter, batch);
	for (int k = 0; k < batch->keys.count; k++)
		voxanne_labels_row(emitter->labels, &batch->rows, batch->keys.rows[k], emitter->reader.cols[0].attnum);
}

/* Keep each row's key as an entry: as much of its hash as matters. */
static void
emit_unique(Emitter *emitter, Batch *batch)
{
	const KeyBatch *keys = &batch->keys;
	const SharedSide *side = emitter->side;

	choose_rows(emitter, batch);
	voxanne_key_read(&emitter->reader, &batch->rows, &batch->keys);
	emitter->checked += keys->count;
	for (int k = 0; k < keys->count; k++)
	{
		UniqueEntry *entry = voxanne_entries_next(emitter->writer, keys->hashes[k]);

		entry->word = entry_word(side, keys->hashes[k], batch->rows.ids[keys->rows[k]]);
		if (side->entry_size == sizeof(UniqueEntry))
			entry->hash = keys->hashes[k];
	}
}

/* The same with each row's time; without one it is passed over. */
static void
emit_overlap(Emitter *emitter, Batch *batch)
{
	const TimeReader *times = &emitter->times;
	KeyBatch   *keys = &batch->keys;

	choose_rows(emitter, batch);
	if (batch_any_null(&batch->rows, times->start))
		voxanne_keys_drop(keys, batch_nulls(&batch->rows, times->start));
	voxanne_key_read(&emitter->reader, &batch->rows, keys);
	emitter->checked += keys->count;
	for (int k = 0; k < keys->count; k++)
	{
		int			row = keys->rows[k];
		OverlapEntry *entry = voxanne_entries_next(emitter->writer, keys->hashes[k]);
		int64		start = voxanne_time_start(times, &batch->rows, row);

		entry->word = entry_word(emitter->side, keys->hashes[k], batch->rows.ids[row]);
		entry->hash = (uint32) keys->hashes[k];
		entry->start = start;
		entry->seconds = emitter->question->ranges ? seconds_to(start, voxanne_time_end(times, &batch->rows, row, start)) : 0;
	}
}

/* From one time to a later one, as OverlapEntry has it. */
static uint32
seconds_to(int64 start, int64 end)
{
	uint64		length = (uint64) end - (uint64) start;
	uint64		seconds = length / USECS_PER_SEC + (length % USECS_PER_SEC != 0);

	return (uint32) Min(seconds, PG_UINT32_MAX);
}

/* Keep whole keys. */
static void
emit_parent(Emitter *emitter, Batch *batch)
{
	const KeyBatch *keys = &batch->keys;
	int			words = emitter->reader.words;

	choose_rows(emitter, batch);
	voxanne_key_read(&emitter->reader, &batch->rows, &batch->keys);
	emitter->checked += keys->count;
	for (int k = 0; k < keys->count; k++)
	{
		uint64	   *entry = voxanne_entries_next(emitter->writer, keys->hashes[k]);

		entry[0] = keys->hashes[k];
		copy_words(entry + 1, keys->words + k * words, words);
	}
}

/* Keep keys that are compared by value. */
static void
emit_parent_value(Emitter *emitter, Batch *batch)
{
	choose_rows(emitter, batch);
	for (int k = 0; k < batch->keys.count; k++)
	{
		uint64		hash;
		uint64		value;
		uint64	   *entry;

		if (!voxanne_value_keep(emitter->values, &batch->rows, batch->keys.rows[k], &hash, &value))
			continue;
		entry = voxanne_entries_next(emitter->writer, hash);
		entry[0] = hash;
		entry[1] = value;
	}
}

static void
emit_child_value(Emitter *emitter, Batch *batch)
{
	choose_rows(emitter, batch);
	for (int k = 0; k < batch->keys.count; k++)
		emitter->checked += voxanne_value_probe(emitter->values, &batch->rows, batch->keys.rows[k],
												emitter->question->match_full);
}

/* Look the rows' keys up; what the set cannot decide is for SQL to decide. */
static void
emit_child(Emitter *emitter, Batch *batch)
{
	KeyBatch   *keys = &batch->keys;
	const RowId *ids = batch->rows.ids;

	choose_rows(emitter, batch);
	if (emitter->leader != NULL)
		follow_leader(emitter, batch);
	for (int k = 0; emitter->question->match_full && k < keys->count; k++)
		if (voxanne_key_partial(&emitter->reader, &batch->rows, keys->rows[k]))
			voxanne_probe_miss(emitter->prober, ids[keys->rows[k]]);
	voxanne_key_read(&emitter->reader, &batch->rows, keys);
	emitter->checked += keys->count + keys->nundecided;
	memset(emitter->probed, 0, batch->rows.count * sizeof(bool));
	for (int k = 0; k < keys->count; k++)
		emitter->probed[keys->rows[k]] = true;
	for (int i = 0; i < keys->nundecided; i++)
		voxanne_probe_miss(emitter->prober, ids[keys->undecided[i]]);
	if (emitter->side->stored)
		store_child(emitter, batch);
	else
		voxanne_probe(emitter->prober, keys, ids);
}

/* Leave out the rows that the leader has looked up. */
static void
follow_leader(Emitter *emitter, Batch *batch)
{
	int			before = batch->keys.count;

	voxanne_keys_drop(&batch->keys, emitter->leader->probed);
	emitter->checked += before - batch->keys.count;
}

/* Keep what will be looked up. */
static void
store_child(Emitter *emitter, const Batch *batch)
{
	const KeyBatch *keys = &batch->keys;
	int			words = emitter->reader.words;

	for (int k = 0; k < keys->count; k++)
	{
		uint64	   *entry = voxanne_entries_next(emitter->writer, keys->hashes[k]);

		entry[0] = batch->rows.ids[keys->rows[k]];
		entry[1] = keys->hashes[k];
		copy_words(entry + 2, keys->words + k * words, words);
	}
}

/*
 * All rows of the step have been read: hand over what there is.
 */
void
voxanne_emitters_close(Emitter *emitters, int count)
{
	for (int i = 0; i < count; i++)
	{
		Emitter    *emitter = &emitters[i];

		if (emitter->writer != NULL)
			voxanne_entries_close(emitter->writer);
		if (emitter->prober != NULL)
			voxanne_probe_close(emitter->prober);
		if (emitter->values != NULL)
			voxanne_value_close(emitter->values);
		if (emitter->rules != NULL)
			voxanne_rules_close(emitter->rules);
		if (emitter->labels != NULL)
			voxanne_labels_close(emitter->labels);
		pg_atomic_fetch_add_u64(&emitter->side->checked, emitter->checked);
	}
}
