/*
 * src/core/encoding.h
 *		Changing a text's encoding without ever failing.
 */
#ifndef VOXANNE_ENCODING_H
#define VOXANNE_ENCODING_H

extern char *voxanne_from_utf8(const char *text);
extern char *voxanne_to_utf8(const char *text);

#endif							/* VOXANNE_ENCODING_H */
