/*
 * src/core/words.h
 *		Small things about the words in messages.
 */
#ifndef VOXANNE_WORDS_H
#define VOXANNE_WORDS_H

#include "nodes/pg_list.h"

extern const char *voxanne_closest(const char *word, List *candidates);
extern char *voxanne_ago(int64 microseconds);
extern char *voxanne_megabytes(int64 bytes);

#endif							/* VOXANNE_WORDS_H */
