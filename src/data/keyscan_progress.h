/*
 * src/data/keyscan_progress.h
 *		How far running data checks are.
 */
#ifndef VOXANNE_KEYSCAN_PROGRESS_H
#define VOXANNE_KEYSCAN_PROGRESS_H

/* What a data check is doing. */
typedef enum VoxPhase
{
	VOX_PHASE_SCANNING,			/* the scan reads a table */
	VOX_PHASE_MATCHING			/* the scan finds what matters of it */
} VoxPhase;

extern void voxanne_progress_share(void);
extern int	voxanne_progress_begin(void);
extern void voxanne_progress_phase(int slot, Oid relid, VoxPhase phase, uint64 blocks_total);
extern void voxanne_progress_add(int slot, uint64 blocks, uint64 rows);
extern void voxanne_progress_spilled(int slot, uint64 bytes);
extern void voxanne_progress_end(int slot);

#endif							/* VOXANNE_KEYSCAN_PROGRESS_H */
