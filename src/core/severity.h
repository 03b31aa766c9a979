/*
 * src/core/severity.h
 *		How bad a finding is (runbook 5.2).
 *
 * The SQL enum voxanne_severity has the same labels in the same order, so that
 * a comparison in C and one in SQL agree.
 */
#ifndef VOXANNE_SEVERITY_H
#define VOXANNE_SEVERITY_H

typedef enum VoxSeverity
{
	VOX_INFO,					/* review daily */
	VOX_WARNING,				/* review within an hour */
	VOX_CRITICAL				/* respond immediately */
} VoxSeverity;

#define VOX_SEVERITY_COUNT 3

extern const char *voxanne_severity_name(VoxSeverity severity);
extern VoxSeverity voxanne_severity_parse(const char *name);

#endif							/* VOXANNE_SEVERITY_H */
