/*
 * src/core/utc.h
 *		Times as text for other programs.
 */
#ifndef VOXANNE_UTC_H
#define VOXANNE_UTC_H

#include "datatype/timestamp.h"

extern bool voxanne_parse_utc(const char *text, TimestampTz *result);
extern char *voxanne_utc(TimestampTz time);

#endif							/* VOXANNE_UTC_H */
