/*
 * src/data/keyscan_time.c
 *		When a row's time starts and how far it reaches at the most.
 *
 * An overlap question may get too many rows, never too few: the SQL that follows
 * measures exactly.  So a month is as long as the longest one here.  A time
 * without time zone is one in the session's, as SQL has it; parallel workers
 * have the same.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "core/compat.h"
#include "data/keyscan_rows.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

/* The longest and the shortest that a month and a day of an interval can be: clocks change by an hour. */
#define MAX_MONTH_USECS (31 * USECS_PER_DAY + USECS_PER_HOUR)
#define MIN_MONTH_USECS (28 * USECS_PER_DAY - USECS_PER_HOUR)
#define MAX_DAY_USECS (USECS_PER_DAY + USECS_PER_HOUR)
#define MIN_DAY_USECS (USECS_PER_DAY - USECS_PER_HOUR)

/* No length that we compute is longer: 73,000 years. */
#define LONGEST (PG_INT64_MAX / 4)

static AttrNumber open_column(const VoxScanKey *key, AttrNumber attnum, Oid leaf, Oid *type);
static int64 instant(Datum value, Oid type);
static int64 length_of(const TimeReader *reader, Datum value);
static int64 minutes_to_usecs(double minutes);

/*
 * Prepare to read the times of a leaf's rows.
 */
void
voxanne_time_open(TimeReader *reader, const VoxScanQuestion *question, Oid leaf)
{
	reader->start = open_column(&question->key, question->start, leaf, &reader->start_type);
	reader->end = open_column(&question->key, question->end, leaf, &reader->end_type);
	reader->length = open_column(&question->key, question->length, leaf, &reader->length_type);
	reader->default_length = question->default_minutes * USECS_PER_MINUTE;
}

static AttrNumber
open_column(const VoxScanKey *key, AttrNumber attnum, Oid leaf, Oid *type)
{
	attnum = voxanne_leaf_column(key, attnum, leaf);
	*type = attnum == 0 ? InvalidOid : getBaseType(get_atttype(leaf, attnum));
	return attnum;
}

/* When a row's time starts, which is not null. */
int64
voxanne_time_start(const TimeReader *reader, const RowBatch *rows, int row)
{
	return instant(batch_values(rows, reader->start)[row], reader->start_type);
}

/*
 * When it ends at the latest.  One without a positive length, and one that
 * starts at no finite time, is a point.
 */
int64
voxanne_time_end(const TimeReader *reader, const RowBatch *rows, int row, int64 start)
{
	int64		length = reader->default_length;

	if (reader->end != 0 && !batch_nulls(rows, reader->end)[row])
		return Max(start, instant(batch_values(rows, reader->end)[row], reader->end_type));
	if (reader->length != 0 && !batch_nulls(rows, reader->length)[row])
		length = length_of(reader, batch_values(rows, reader->length)[row]);
	if (length <= 0 || TIMESTAMP_NOT_FINITE(start))
		return start;
	return start > PG_INT64_MAX - length ? PG_INT64_MAX : start + length;
}

static int64
instant(Datum value, Oid type)
{
	return type == TIMESTAMPOID ?
		DatumGetTimestampTz(DirectFunctionCall1(timestamp_timestamptz, value)) : DatumGetTimestampTz(value);
}

/* A length in microseconds, at the most; 0 or less where it is not positive. */
static int64
length_of(const TimeReader *reader, Datum value)
{
	switch (reader->length_type)
	{
		case INT2OID:
			return DatumGetInt16(value) * USECS_PER_MINUTE;
		case INT4OID:
			return DatumGetInt32(value) * USECS_PER_MINUTE;
		case INT8OID:
			return Min(Max(DatumGetInt64(value), 0), PG_INT32_MAX) * USECS_PER_MINUTE;
		case NUMERICOID:
			return minutes_to_usecs(DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, value)));
		default:
			Assert(reader->length_type == INTERVALOID);
			return voxanne_interval_bound(DatumGetIntervalP(value));
	}
}

/* A number that is none is greater than all others, as numeric has it. */
static int64
minutes_to_usecs(double minutes)
{
	if (isnan(minutes) || minutes > PG_INT32_MAX)
		minutes = PG_INT32_MAX;
	return minutes <= 0 ? 0 : (int64) (minutes * USECS_PER_MINUTE) + 1;
}

/*
 * How far an interval reaches at the most, in microseconds; not negative.
 */
int64
voxanne_interval_bound(const Interval *interval)
{
	double		usecs = (double) interval->month * (interval->month < 0 ? MIN_MONTH_USECS : MAX_MONTH_USECS) +
		(double) interval->day * (interval->day < 0 ? MIN_DAY_USECS : MAX_DAY_USECS) + (double) interval->time;

	return usecs >= (double) LONGEST ? LONGEST : (int64) Max(usecs, 0);
}
