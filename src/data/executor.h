/*
 * src/data/executor.h
 *		Who answers a data check's questions: the scan engine or SQL.
 */
#ifndef VOXANNE_DATA_EXECUTOR_H
#define VOXANNE_DATA_EXECUTOR_H

#include "core/query.h"
#include "data/booking.h"
#include "data/duplicate.h"
#include "data/keyscan.h"
#include "data/reference.h"
#include "data/reference_parent.h"
#include "data/table.h"

/* executor.c */
extern void voxanne_execution_begin(void);
extern bool voxanne_out_of_time(void);
extern void voxanne_scan(List *questions);
extern void voxanne_execution_note(const char *object, const char *question, const VoxScanQuestion *scanned);

/* scan_question.c: NULL, or why the scan engine is not asked, a sentence */
extern const char *voxanne_scan_reference(const VoxReference *reference, bool live_only,
										  VoxScanQuestion *question);
extern const char *voxanne_scan_parent(const VoxReference *reference, VoxParentFault fault,
									   bool live_only, VoxScanQuestion *question);
extern const char *voxanne_scan_key(const VoxKeyQuestion *key, VoxScanQuestion *question);
extern const char *voxanne_scan_booking(const VoxBookingQuestion *booking, VoxBookingAxis axis,
										VoxScanQuestion *question);
extern const char *voxanne_scan_rules(const VoxTable *table, List *rules, bool live_only,
									  VoxScanQuestion *question);
extern const char *voxanne_scan_labels(const VoxTable *table, AttrNumber attnum, bool live_only,
									   VoxScanQuestion *question);

/* scan_condition.c */
extern const char *voxanne_scan_condition(Oid relid, const char *text, Node **condition);

/* candidates.c */
extern char *voxanne_rows_found(VoxQuery *query, const VoxTable *table, List *columns,
								const VoxScanQuestion *question);

#endif							/* VOXANNE_DATA_EXECUTOR_H */
