/*
 * src/data/orphan_row.h
 *		The rows that find_orphans() returns.
 */
#ifndef VOXANNE_ORPHAN_ROW_H
#define VOXANNE_ORPHAN_ROW_H

#include "core/finding.h"
#include "data/reference.h"

extern void voxanne_orphan_row(VoxSink *sink, const VoxReference *reference, const VoxFinding *finding,
							   const char *kind, int64 count, int64 checked, int score, Jsonb *sample);
extern void voxanne_orphan_skip(VoxSink *sink, const VoxReference *reference, const char *kind,
								const char *reason);

#endif							/* VOXANNE_ORPHAN_ROW_H */
