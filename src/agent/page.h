/*
 * src/agent/page.h
 *		Pages of relation files.
 */
#ifndef VOXANNE_AGENT_PAGE_H
#define VOXANNE_AGENT_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sizes of a page that the server can be built with */
#define MIN_PAGE_SIZE 1024
#define MAX_PAGE_SIZE 32768

typedef void (*PageSums) (const unsigned char *pages, size_t size, size_t n, uint32_t *results);

/* One way to compute the sums; all give the same. */
typedef struct PageMethod
{
	const char *name;
	PageSums	sum;
} PageMethod;

extern void page_init(void);
extern const PageMethod *page_methods(void);
extern void page_sums(const unsigned char *pages, size_t size, size_t n, uint32_t *sums);
extern uint16_t page_checksum(uint32_t sum, uint32_t block);
extern uint16_t page_stated_checksum(const unsigned char *page);
extern uint64_t page_lsn(const unsigned char *page);
extern bool page_is_new(const unsigned char *page);
extern bool page_is_zero(const unsigned char *page, size_t size);

#endif							/* VOXANNE_AGENT_PAGE_H */
