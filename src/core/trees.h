/*
 * src/core/trees.h
 *		The server's walkers and mutators of expression trees.
 *
 * Up to 15 their header declares callbacks without a prototype, which a strict
 * build would reject; so it is included here only.
 */
#ifndef VOXANNE_TREES_H
#define VOXANNE_TREES_H

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#include "nodes/nodeFuncs.h"
#pragma GCC diagnostic pop

#endif							/* VOXANNE_TREES_H */
