/*
 * src/data/quarantine.h
 *		Where remedies put rows before they change or remove them.
 */
#ifndef VOXANNE_QUARANTINE_H
#define VOXANNE_QUARANTINE_H

extern const char *voxanne_quarantine_prepare(void);
extern char *voxanne_quarantine_insert(const char *relation, const char *key, const char *source);

#endif							/* VOXANNE_QUARANTINE_H */
