/*
 * src/agent/wal_records.c
 *		Walking the records of WAL.
 *
 * Each record has a checksum of its own and names the one before it, so a walk
 * from the backup's start to its end proves that recovery gets there.  On the
 * way it meets the pages that recovery writes anew, whatever they held: what
 * looked torn among them is not.
 *
 * The format of records has not changed from 15 to 18.
 */
#include "wal.h"
#include "crc32c.h"

#include <inttypes.h>
#include <string.h>

#define RECORD_HEADER 24
#define RECORD_CRC_AT 20
#define MAX_RECORD (UINT32_C(1020) << 20)

/* Of a record's data, as much as all its block headers can take */
#define MAX_HEADERS_SIZE 2048

/* Record that ends a segment early */
#define RMGR_XLOG 0
#define XLOG_SWITCH 0x40

/* Records that tell when a transaction was committed */
#define RMGR_XACT 1
#define XACT_KIND 0x70
#define XACT_COMMIT 0x00
#define XACT_COMMIT_PREPARED 0x30

/* Marks among block headers */
#define MAX_BLOCK_ID 32
#define ID_DATA_SHORT 255
#define ID_DATA_LONG 254
#define ID_ORIGIN 253
#define ID_TOPLEVEL_XID 252

/* Flags of block headers and of the images that may follow them */
#define BLOCK_FORK 0x0f
#define BLOCK_HAS_IMAGE 0x10
#define BLOCK_WILL_INIT 0x40
#define BLOCK_SAME_RELATION 0x80
#define IMAGE_HAS_HOLE 0x01
#define IMAGE_APPLY 0x02
#define IMAGE_COMPRESSED 0x1c

/* State of a walk. */
typedef struct Walk
{
	Wal		   *wal;
	WalWalk    *order;
	uint64_t	at;				/* the next byte */
	char	   *problem;

	/* the record under way */
	uint64_t	record;			/* where it begins */
	uint32_t	left;			/* bytes of it to come; 0: none under way */
	bool		given_up;		/* its end was overwritten by another one */
	unsigned char headers[MAX_HEADERS_SIZE];
	size_t		headers_len;
} Walk;

/* Bytes of block headers, and how many are left */
typedef struct Bytes
{
	const unsigned char *at;
	size_t		left;
} Bytes;

static void
fail_at(Walk *walk, uint64_t lsn, const char *what)
{
	if (walk->problem != NULL)
		return;
	walk->order->bad_segment = lsn / walk->wal->segment_size;
	walk->problem = format("record at %X/%X %s", (unsigned int) (lsn >> 32), (unsigned int) lsn, what);
}

/*
 * We are at the start of a page: get behind its header.  In a record the page
 * must continue it; if another one was written over its end, the record is
 * given up.  False with a problem.
 */
static bool
enter_page(Walk *walk, WalPageHeader *header)
{
	Wal		   *wal = walk->wal;
	size_t		len;

	if (!wal_open_segment(wal, walk->order->range, walk->at / wal->segment_size))
	{
		walk->order->ran_out = true;
		fail_at(walk, walk->record, "continues in a segment that is missing");
		return false;
	}
	len = wal_page_header(wal, walk->at, header, &walk->problem);
	if (len == 0)
	{
		walk->order->bad_segment = walk->at / wal->segment_size;
		return false;
	}
	if (walk->left > 0 && (header->info & WAL_OVERWRITES))
		walk->given_up = true;
	else if (walk->left > 0 && (!(header->info & WAL_CONTINUES) || header->remaining != walk->left))
		fail_at(walk, walk->record, "is not continued on the next page");
	walk->at += len;
	return walk->problem == NULL;
}

/*
 * The next stretch of the record under way, at most "most" bytes, all in one
 * page.  NULL with a problem, or when the record is given up.
 */
static const unsigned char *
take(Walk *walk, size_t most, size_t *len)
{
	Wal		   *wal = walk->wal;
	const unsigned char *data;
	WalPageHeader header;

	if (walk->at % wal->page_size == 0 && (!enter_page(walk, &header) || walk->given_up))
		return NULL;
	if (!wal_open_segment(wal, walk->order->range, walk->at / wal->segment_size) ||
		!wal_read(wal, walk->at % wal->segment_size, &data, len))
	{
		fail_at(walk, walk->record, "cannot be read");
		return NULL;
	}
	if (*len > wal->page_size - walk->at % wal->page_size)
		*len = wal->page_size - walk->at % wal->page_size;
	if (*len > most)
		*len = most;
	walk->at += *len;
	walk->left -= (uint32_t) *len;
	return data;
}

/* The next "len" bytes of the record under way; false as take(). */
static bool
take_all(Walk *walk, unsigned char *bytes, size_t len)
{
	while (len > 0)
	{
		size_t		got;
		const unsigned char *data = take(walk, len, &got);

		if (data == NULL)
			return false;
		memcpy(bytes, data, got);
		bytes += got;
		len -= got;
	}
	return true;
}

/* Take what follows the record's header into "crc", and keep the start of it. */
static bool
take_data(Walk *walk, uint32_t *crc)
{
	walk->headers_len = 0;
	while (walk->left > 0)
	{
		size_t		len;
		size_t		room = MAX_HEADERS_SIZE - walk->headers_len;
		const unsigned char *data = take(walk, walk->left, &len);

		if (data == NULL)
			return false;
		*crc = crc32c_add(*crc, data, len);
		if (room > len)
			room = len;
		memcpy(walk->headers + walk->headers_len, data, room);
		walk->headers_len += room;
	}
	return true;
}

static bool
take_bytes(Bytes *bytes, void *value, size_t len)
{
	if (bytes->left < len)
		return false;
	memcpy(value, bytes->at, len);
	bytes->at += len;
	bytes->left -= len;
	return true;
}

/* One block header, its id taken; "name" is the block before, of which the relation may be meant again. */
static bool
take_block(Bytes *bytes, BlockName *name, bool *written_anew)
{
	uint8_t		flags;
	uint16_t	skipped[2];
	uint8_t		image = 0;

	if (!take_bytes(bytes, &flags, 1) || !take_bytes(bytes, skipped, 2))
		return false;
	if (flags & BLOCK_HAS_IMAGE)
	{
		if (!take_bytes(bytes, skipped, 4) || !take_bytes(bytes, &image, 1))
			return false;
		if ((image & IMAGE_HAS_HOLE) && (image & IMAGE_COMPRESSED) && !take_bytes(bytes, skipped, 2))
			return false;
	}
	if (!(flags & BLOCK_SAME_RELATION) && !take_bytes(bytes, name, 3 * sizeof(uint32_t)))
		return false;
	name->fork = flags & BLOCK_FORK;
	*written_anew = (flags & BLOCK_WILL_INIT) != 0 || (image & IMAGE_APPLY) != 0;
	return take_bytes(bytes, &name->block, sizeof(uint32_t));
}

/* Mark the pages that replay of the record writes anew. */
static void
mark_replayed(Walk *walk)
{
	Bytes		bytes = {walk->headers, walk->headers_len};
	BlockName	name = {0};
	unsigned char skipped[sizeof(uint32_t)];
	uint8_t		id;

	while (take_bytes(&bytes, &id, 1))
	{
		bool		written_anew;

		if (id == ID_ORIGIN || id == ID_TOPLEVEL_XID)
		{
			if (!take_bytes(&bytes, skipped, id == ID_ORIGIN ? sizeof(uint16_t) : sizeof(uint32_t)))
				return;
		}
		else if (id > MAX_BLOCK_ID || !take_block(&bytes, &name, &written_anew))
			return;				/* the record's own data begin */
		else if (written_anew)
			findings_replayed(walk->order->findings, &name);
	}
}

/* If the record, which has no blocks, tells when a transaction was committed: note that. */
static void
note_commit(Walk *walk)
{
	Bytes		bytes = {walk->headers, walk->headers_len};
	unsigned char skipped[sizeof(uint32_t)];
	int64_t		time;
	uint8_t		id;

	while (take_bytes(&bytes, &id, 1))
	{
		if (id == ID_DATA_SHORT || id == ID_DATA_LONG)
		{
			if (take_bytes(&bytes, skipped, id == ID_DATA_SHORT ? sizeof(uint8_t) : sizeof(uint32_t)) &&
				take_bytes(&bytes, &time, sizeof(time)))
				walk->order->last_commit = time;
			return;
		}
		if ((id != ID_ORIGIN && id != ID_TOPLEVEL_XID) ||
			!take_bytes(&bytes, skipped, id == ID_ORIGIN ? sizeof(uint16_t) : sizeof(uint32_t)))
			return;
	}
}

/*
 * Read the record at walk->at; false with a problem.  "previous" is where the
 * last one began, 0: unknown, and becomes what the record says of that.
 */
static bool
read_record(Walk *walk, uint64_t *previous, uint8_t *rmgr, uint8_t *info)
{
	unsigned char header[RECORD_HEADER];
	uint32_t	total;
	uint64_t	stated_previous;
	uint32_t	stated_crc;
	uint32_t	crc = CRC32C_INIT;

	/*
	 * records are aligned to 8, so that its length is never cut by a page's
	 * end
	 */
	walk->record = walk->at;
	walk->left = sizeof(total);
	if (!take_all(walk, header, sizeof(total)))
		return false;
	memcpy(&total, header, sizeof(total));
	if (total < RECORD_HEADER || total > MAX_RECORD)
	{
		fail_at(walk, walk->record, total == 0 ? "is missing: there is nothing" : "has an impossible length");
		return false;
	}
	walk->left = total - (uint32_t) sizeof(total);
	if (!take_all(walk, header + sizeof(total), RECORD_HEADER - sizeof(total)) || !take_data(walk, &crc))
		return walk->given_up && walk->problem == NULL;

	memcpy(&stated_previous, header + 8, sizeof(stated_previous));
	*info = header[16];
	*rmgr = header[17];
	memcpy(&stated_crc, header + RECORD_CRC_AT, sizeof(stated_crc));
	if (crc32c_end(crc32c_add(crc, header, RECORD_CRC_AT)) != stated_crc)
		fail_at(walk, walk->record, "does not have the checksum that it states");
	else if (*previous != 0 && stated_previous != *previous)
		fail_at(walk, walk->record, "does not follow the one before it");
	*previous = stated_previous;
	return walk->problem == NULL;
}

/*
 * Get from the start of a range to its first record: it may be a page's start,
 * and that page may continue an older record.
 */
static bool
find_first_record(Walk *walk)
{
	uint32_t	page_size = walk->wal->page_size;
	WalPageHeader header;

	while (walk->at % page_size == 0 && walk->at < walk->order->end)
	{
		uint64_t	page = walk->at;
		uint64_t	end;

		if (!enter_page(walk, &header))
			return false;
		if (!(header.info & WAL_CONTINUES))
			return true;
		end = walk->at + (((uint64_t) header.remaining + 7) & ~UINT64_C(7));
		walk->at = end < page + page_size ? end : page + page_size;
	}
	return true;
}

/* Take a good record, the last one read, into what came of the walk; get to where the next one begins. */
static void
take_record(Walk *walk, uint8_t rmgr, uint8_t info)
{
	WalWalk    *order = walk->order;
	uint32_t	segment_size = walk->wal->segment_size;

	order->n_records++;
	order->last_record = walk->record;
	if (order->findings != NULL && order->findings->n > 0)
		mark_replayed(walk);
	if (rmgr == RMGR_XACT && ((info & XACT_KIND) == XACT_COMMIT || (info & XACT_KIND) == XACT_COMMIT_PREPARED))
		note_commit(walk);
	walk->at = (walk->at + 7) & ~UINT64_C(7);
	order->reached = walk->at;
	if (rmgr == RMGR_XLOG && (info & 0xf0) == XLOG_SWITCH)
		walk->at += (segment_size - walk->at % segment_size) % segment_size;
}

/* We are at the start of a page where a record must begin: get behind the page's header. */
static bool
enter_record_page(Walk *walk)
{
	WalPageHeader header;

	walk->record = walk->at;
	if (!enter_page(walk, &header))
		return false;
	if (header.info & WAL_CONTINUES)
		fail_at(walk, walk->record, "is missing: the page continues another one");
	return walk->problem == NULL;
}

/*
 * Walk the records that begin in a stretch of WAL.  NULL, or what is wrong, in
 * the segment that is then the open one.
 */
char *
walk_records(Wal *wal, WalWalk *order)
{
	Walk		walk = {.wal = wal,.order = order,.at = order->start,.record = order->start};
	uint64_t	previous = 0;
	uint8_t		rmgr = 0;
	uint8_t		info = 0;

	order->reached = order->start;
	order->last_commit = NO_TIME;
	if (!find_first_record(&walk))
		return walk.problem;
	while (walk.at < order->end)
	{
		if (walk.at % wal->page_size == 0 && !enter_record_page(&walk))
			return walk.problem;
		if (!read_record(&walk, &previous, &rmgr, &info))
			return walk.problem;
		if (walk.given_up)
		{
			/* we are behind the header of the page that says so */
			walk.given_up = false;
			walk.left = 0;
			previous = 0;
			continue;
		}
		if (order->n_records == 0)
			order->first_previous = previous;
		previous = walk.record;
		take_record(&walk, rmgr, info);
	}
	return NULL;
}
