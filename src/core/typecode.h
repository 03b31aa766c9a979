/*
 * src/core/typecode.h
 *		The functions by which values of a type are compared and hashed.
 */
#ifndef VOXANNE_TYPECODE_H
#define VOXANNE_TYPECODE_H

typedef bool (*VoxFunctionVisitor) (Oid funcid, void *context);

extern bool voxanne_visit_type_functions(Oid type, VoxFunctionVisitor visit, void *context);

#endif							/* VOXANNE_TYPECODE_H */
