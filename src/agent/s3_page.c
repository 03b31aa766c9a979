/*
 * src/agent/s3_page.c
 *		Reading a page of ListObjectsV2.
 *
 * The answer is a flat XML document, so no XML library is needed: elements are
 * taken one after the other, and what is not known is passed over.  Document
 * types and with them entities of their own are refused.
 */
#include "list.h"

#include <stdlib.h>
#include <string.h>

/* What is being read */
typedef struct Scan
{
	const char *pos;
	const char *end;
	const char *problem;
	char		name[64];		/* of the tag just read, with '/' before it if
								 * it closes */
	const char *text;			/* between the tag before and this one */
	size_t		text_len;
} Scan;

/* The next tag; false at the end or after a problem. */
static bool
next_tag(Scan *scan)
{
	const char *open = memchr(scan->pos, '<', (size_t) (scan->end - scan->pos));
	const char *close;
	size_t		len;

	if (open == NULL)
		return false;
	close = memchr(open, '>', (size_t) (scan->end - open));
	if (close == NULL)
		scan->problem = "a tag has no end";
	else if (open + 1 < scan->end && open[1] == '!')
		scan->problem = "it has a document type or a comment";
	if (scan->problem != NULL)
		return false;
	scan->text = scan->pos;
	scan->text_len = (size_t) (open - scan->pos);
	open++;
	len = strcspn(open, " \t\r\n>");
	if (len >= sizeof(scan->name))
		len = sizeof(scan->name) - 1;
	memcpy(scan->name, open, len);
	scan->name[len] = '\0';
	scan->pos = close + 1;
	return true;
}

/* Append a character as UTF-8. */
static char *
put_character(char *out, unsigned long c)
{
	if (c < 0x80)
		*out++ = (char) c;
	else if (c < 0x800)
	{
		*out++ = (char) (0xc0 | c >> 6);
		*out++ = (char) (0x80 | (c & 0x3f));
	}
	else if (c < 0x10000)
	{
		*out++ = (char) (0xe0 | c >> 12);
		*out++ = (char) (0x80 | (c >> 6 & 0x3f));
		*out++ = (char) (0x80 | (c & 0x3f));
	}
	else
	{
		*out++ = (char) (0xf0 | c >> 18);
		*out++ = (char) (0x80 | (c >> 12 & 0x3f));
		*out++ = (char) (0x80 | (c >> 6 & 0x3f));
		*out++ = (char) (0x80 | (c & 0x3f));
	}
	return out;
}

/* The text of an element without its entities; NULL with a problem set. */
static char *
element_text(Scan *scan)
{
	static const struct
	{
		const char *name;
		char		character;
	}			entities[] = {{"amp;", '&'}, {"lt;", '<'}, {"gt;", '>'}, {"quot;", '"'}, {"apos;", '\''}};
	char	   *result = xmalloc(scan->text_len + 1);
	char	   *out = result;
	const char *end = scan->text + scan->text_len;

	for (const char *at = scan->text; at < end;)
	{
		const char *start = at;
		char	   *stop;
		unsigned long c;

		if (*at != '&')
		{
			*out++ = *at++;
			continue;
		}
		for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]) && at == start; i++)
		{
			size_t		len = strlen(entities[i].name);

			if ((size_t) (end - at) > len && memcmp(at + 1, entities[i].name, len) == 0)
			{
				*out++ = entities[i].character;
				at += 1 + len;
			}
		}
		if (at != start)
			continue;
		c = 0;
		stop = NULL;
		if (end - at > 3 && at[1] == '#')
			c = at[2] == 'x' ? strtoul(at + 3, &stop, 16) : strtoul(at + 2, &stop, 10);
		if (c == 0 || c > 0x10ffff || stop == NULL || stop >= end || *stop != ';')
		{
			scan->problem = "it has an unknown entity";
			free(result);
			return NULL;
		}
		out = put_character(out, c);
		at = stop + 1;
	}
	*out = '\0';
	return result;
}

static void
forget_object(S3Object *object)
{
	free(object->key);
	free(object->storage_class);
	memset(object, 0, sizeof(*object));
}

/* The end of one object: keep it if it is the newest so far.  A key that ends with '/' stands for a folder. */
static void
take_object(Scan *scan, S3Page *page, S3Object *object)
{
	size_t		len = object->key == NULL ? 0 : strlen(object->key);

	if (len == 0 || object->last_modified < 0 || object->size < 0)
		scan->problem = "an object lacks its key, time or size";
	else if (object->key[len - 1] != '/')
	{
		page->objects++;
		if (page->newest.key == NULL || object->last_modified > page->newest.last_modified ||
			(object->last_modified == page->newest.last_modified && strcmp(object->key, page->newest.key) > 0))
		{
			forget_object(&page->newest);
			page->newest = *object;
			memset(object, 0, sizeof(*object));
		}
	}
	forget_object(object);
}

/* One closing tag inside of an object. */
static void
take_property(Scan *scan, S3Object *object)
{
	char	   *str = element_text(scan);
	char	   *end = NULL;

	if (str == NULL)
		return;
	if (strcmp(scan->name, "/Key") == 0 && object->key == NULL)
	{
		object->key = str;
		return;
	}
	if (strcmp(scan->name, "/StorageClass") == 0 && object->storage_class == NULL)
	{
		object->storage_class = str;
		return;
	}
	if (strcmp(scan->name, "/LastModified") == 0)
		object->last_modified = parse_utc(str);
	else if (strcmp(scan->name, "/Size") == 0)
	{
		object->size = (int64_t) strtoll(str, &end, 10);
		if (end == str || *end != '\0' || strlen(str) > 18)
			object->size = -1;
	}
	free(str);
}

/*
 * Read a page and add it to "page", whose newest object may come from an
 * earlier one.  "str" ends with a zero behind its "len" bytes.  Returns NULL,
 * or what is wrong with it.
 */
const char *
s3_read_page(const char *str, size_t len, S3Page *page)
{
	Scan		scan = {.pos = str,.end = str + len};
	S3Object	object = {0};
	bool		inside = false;
	bool		begun = false;
	bool		complete = false;

	page->truncated = false;
	free(page->token);
	page->token = NULL;
	if (strlen(str) != len)
		return "it holds a zero byte";
	while (!complete && scan.problem == NULL && next_tag(&scan))
	{
		if (strcmp(scan.name, "ListBucketResult") == 0)
			begun = true;
		else if (strcmp(scan.name, "/ListBucketResult") == 0)
			complete = begun;
		else if (!begun)
			continue;
		else if (strcmp(scan.name, "Contents") == 0)
		{
			inside = true;
			object.last_modified = object.size = -1;
		}
		else if (strcmp(scan.name, "/Contents") == 0)
		{
			take_object(&scan, page, &object);
			inside = false;
		}
		else if (inside && scan.name[0] == '/')
			take_property(&scan, &object);
		else if (strcmp(scan.name, "/IsTruncated") == 0)
			page->truncated = scan.text_len == 4 && memcmp(scan.text, "true", 4) == 0;
		else if (strcmp(scan.name, "/NextContinuationToken") == 0 && page->token == NULL)
			page->token = element_text(&scan);
	}
	forget_object(&object);
	if (scan.problem == NULL && !complete)
		scan.problem = "it is no complete ListBucketResult";
	if (scan.problem == NULL && page->truncated && page->token == NULL)
		scan.problem = "it says that there is more, but not where";
	return scan.problem;
}
