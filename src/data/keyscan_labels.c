/*
 * src/data/keyscan_labels.c
 *		Counting the values of a text column that has few.
 *
 * Each participant counts for itself; at the end the leader adds up.  A column
 * that turns out to have more than VOX_MAX_LABELS values costs no more than
 * finding that out.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "core/compat.h"
#include "data/keyscan_rows.h"
#include "data/keyscan_store.h"
#include "utils/memutils.h"

/* Slots, a power of two well above VOX_MAX_LABELS. */
#define SLOTS 256

typedef struct Label
{
	char	   *text;			/* NULL: the slot is free */
	uint32		length;
	uint32		hash;
	uint64		rows;
} Label;

struct LabelSide
{
	Keyscan    *run;
	SharedSide *side;
	int			count;
	MemoryContext context;		/* of the texts */
	Label	   *last;			/* that of the row before */
	Label		slots[SLOTS];
};

/* How labels are handed over: this, then the text. */
typedef struct SharedLabel
{
	uint64		rows;
	uint32		length;
} SharedLabel;

static Label *find(LabelSide *labels, const char *text, uint32 length, uint32 hash);
static bool is_same(const Label *label, const char *text, uint32 length);
static void give_up(LabelSide *labels);
static void count_label(LabelSide *labels, const char *text, uint32 length, uint64 rows);
static LabelSide *make(Keyscan *run, SharedSide *side);

/*
 * Start counting for one side, in the current context.
 */
LabelSide *
voxanne_labels_open(Keyscan *run, SharedSide *side)
{
	return make(run, side);
}

static LabelSide *
make(Keyscan *run, SharedSide *side)
{
	LabelSide  *labels = palloc0_object(LabelSide);

	labels->run = run;
	labels->side = side;
	labels->context = CurrentMemoryContext;
	return labels;
}

/*
 * Count a row.
 */
void
voxanne_labels_row(LabelSide *labels, const RowBatch *rows, int row, AttrNumber attnum)
{
	struct varlena *value;

	if (batch_nulls(rows, attnum)[row] || pg_atomic_read_u32(&labels->side->overflow) != 0)
		return;
	value = PG_DETOAST_DATUM_PACKED(batch_values(rows, attnum)[row]);
	count_label(labels, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), 1);
}

static void
count_label(LabelSide *labels, const char *text, uint32 length, uint64 rows)
{
	if (labels->last == NULL || !is_same(labels->last, text, length))
		labels->last = find(labels, text, length, hash_bytes((const unsigned char *) text, length));
	if (labels->last != NULL)
		labels->last->rows += rows;
}

static bool
is_same(const Label *label, const char *text, uint32 length)
{
	return label->length == length && memcmp(label->text, text, length) == 0;
}

/* A text's label, made if need be; NULL if there are too many. */
static Label *
find(LabelSide *labels, const char *text, uint32 length, uint32 hash)
{
	Label	   *label;

	for (uint32 slot = hash;; slot++)
	{
		label = &labels->slots[slot % SLOTS];
		if (label->text == NULL)
			break;
		if (label->hash == hash && is_same(label, text, length))
			return label;
	}
	if (labels->count == VOX_MAX_LABELS)
	{
		give_up(labels);
		return NULL;
	}
	labels->count++;
	label->text = MemoryContextAlloc(labels->context, Max(length, 1));
	memcpy(label->text, text, length);
	label->length = length;
	label->hash = hash;
	return label;
}

/* For all participants. */
static void
give_up(LabelSide *labels)
{
	pg_atomic_write_u32(&labels->side->overflow, 1);
}

/*
 * All rows have been read: hand over what was counted, as chunks in a list.
 */
void
voxanne_labels_close(LabelSide *labels)
{
	dsa_area   *area = labels->run->area;
	uint64		head;

	for (int i = 0; i < SLOTS && pg_atomic_read_u32(&labels->side->overflow) == 0; i++)
	{
		const Label *label = &labels->slots[i];
		SharedLabel shared = {label->rows, label->length};
		dsa_pointer pointer;
		Chunk	   *chunk;

		if (label->text == NULL)
			continue;
		pointer = voxanne_allocate_anyway(labels->run, offsetof(Chunk, data) + sizeof(shared) + label->length);
		chunk = dsa_get_address(area, pointer);
		memcpy(chunk->data, &shared, sizeof(shared));
		memcpy(chunk->data + sizeof(shared), label->text, label->length);
		head = pg_atomic_read_u64(&labels->side->labels);
		do
			chunk->next = (dsa_pointer) head;
		while (!pg_atomic_compare_exchange_u64(&labels->side->labels, &head, (uint64) pointer));
	}
	pfree(labels);
}

/*
 * Put what all have counted into the question.  For the leader, when all have
 * finished.
 */
void
voxanne_labels_collect(Keyscan *run, SharedSide *side, VoxScanQuestion *question)
{
	LabelSide  *labels = make(run, side);

	for (dsa_pointer p = (dsa_pointer) pg_atomic_read_u64(&side->labels); DsaPointerIsValid(p);)
	{
		const Chunk *chunk = dsa_get_address(run->area, p);
		SharedLabel shared;

		memcpy(&shared, chunk->data, sizeof(shared));
		if (pg_atomic_read_u32(&side->overflow) == 0)
			count_label(labels, chunk->data + sizeof(shared), shared.length, shared.rows);
		p = chunk->next;
	}
	question->answered = true;
	question->nlabels = -1;
	if (pg_atomic_read_u32(&side->overflow) != 0)
		return;
	question->labels = palloc_array(VoxScanLabel, labels->count + 1);
	question->nlabels = 0;
	for (int i = 0; i < SLOTS; i++)
		if (labels->slots[i].text !=NULL)
		{
			VoxScanLabel *label = &question->labels[question->nlabels++];

			label->text = pnstrdup(labels->slots[i].text, labels->slots[i].length);
			label->rows = labels->slots[i].rows;
		}
}
