/*
 * src/core/words.h
 *		Small things about the words in messages.
 */
#ifndef VOXANNE_WORDS_H
#define VOXANNE_WORDS_H

#include "nodes/pg_list.h"

extern const char *voxanne_closest(const char *word, List *candidates);
extern char *voxanne_count_of(int64 count, const char *one, const char *many);
extern char *voxanne_rows_that(int64 rows, int64 checked, const char *table, const char *one, const char *many);
extern char *voxanne_sql_comment(const char *text);
extern char *voxanne_ago(int64 microseconds);
extern char *voxanne_megabytes(int64 bytes);

#endif							/* VOXANNE_WORDS_H */
