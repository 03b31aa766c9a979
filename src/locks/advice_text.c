/*
 * src/locks/advice_text.c
 *		The words of an advice and the statement of a remedy.
 *
 * A remedy is pasted some time after it was printed.  It carries the start of
 * the session and of the transaction, so that neither a reused pid nor the
 * next transaction of the same session can be hit.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "core/words.h"
#include "locks/advice_text.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

static char *text_database(const VoxCase *c);
static char *text_gid(const VoxCase *c);
static char *text_progress(const VoxCase *c);
static char *text_queued(const VoxCase *c);
static char *text_root(const VoxCase *c);
static char *text_type(const VoxCase *c);
static char *text_user(const VoxCase *c);

static const struct
{
	const char *name;
	char	   *(*text) (const VoxCase *c);
}			placeholders[] = {
	{"database", text_database},
	{"gid", text_gid},
	{"progress", text_progress},
	{"queued", text_queued},
	{"root", text_root},
	{"type", text_type},
	{"user", text_user},
};

static char *utc_literal(TimestampTz at);

/* Replace {name} by what it stands for. */
char *
voxanne_advice_expand(const char *text, const VoxCase *c)
{
	StringInfoData out;

	initStringInfo(&out);
	while (*text !='\0')
	{
		size_t		plain = strcspn(text, "{");
		size_t		length;

		appendBinaryStringInfo(&out, text, (int) plain);
		text	  +=plain;

		if (*text == '\0')
			break;
		length = strcspn(++text, "}");
		for (int i = 0; i < (int) lengthof(placeholders); i++)
			if (strlen(placeholders[i].name) == length && strncmp(placeholders[i].name, text, length) == 0)
				appendStringInfoString(&out, placeholders[i].text(c));
		text	  +=length + 1;
	}
	return out.data;
}

/*
 * SQL for an action on a node; NULL where there is none, where nothing tells the
 * process from a later one, or only a superuser could run it and the caller is none.
 */
char *
voxanne_advice_remedy(const VoxCase *c, VoxAction action)
{
	const VoxSession *session = c->node->session;
	StringInfoData sql;

	if (action == ACT_NONE || session->connecting || (session->superuser && !superuser()))
		return NULL;
	if (action == ACT_ROLLBACK_PREPARED)
		return psprintf("ROLLBACK PREPARED %s; -- or COMMIT PREPARED: its coordinator knows",
						quote_literal_cstr(session->gid));

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT pg_catalog.%s FROM pg_catalog.pg_stat_activity"
					 " WHERE pid = %d AND backend_start = %s",
					 action == ACT_CANCEL ? "pg_cancel_backend(pid)" : "pg_terminate_backend(pid, 5000)",
					 c->node->party->pid, utc_literal(session->status->st_proc_start_timestamp));
	if (session->xact_start != 0)
		appendStringInfo(&sql, " AND xact_start = %s", utc_literal(session->xact_start));
	appendStringInfoChar(&sql, ';');
	return sql.data;
}

/* A root with a queue below: the head of the queue is the cheaper victim. */
void
voxanne_advice_queue_heads(StringInfo text, const VoxCase *c)
{
	ListCell   *lc;

	foreach(lc, c->node->party->victims)
	{
		const VoxNode *head = &c->forest->nodes[((const VoxEdge *) lfirst(lc))->waiter->index];

		if (!head->heads_queue)
			continue;
		appendStringInfo(text, " Or cancel pid %d, which queues %s behind it.",
						 head->party->pid, voxanne_count_of(head->queued, "session", "sessions"));
		break;
	}
}

/* What the caller lacks to signal this session. */
void
voxanne_advice_privilege(StringInfo text, const VoxCase *c)
{
	const VoxSession *session = c->node->session;

	if (session->superuser && !superuser())
		appendStringInfoString(text, " Only a superuser may do that.");
	else if (!superuser() && !has_privs_of_role(GetUserId(), session->userid) &&
			 !has_privs_of_role(GetUserId(), ROLE_PG_SIGNAL_BACKEND))
		appendStringInfo(text, " That takes the privileges of role %s or of pg_signal_backend.", text_user(c));
}

/* A literal that means the same instant under every DateStyle and TimeZone. */
static char *
utc_literal(TimestampTz at)
{
	int64		microseconds = at % USECS_PER_SEC;
	pg_time_t	seconds = timestamptz_to_time_t(at);
	struct pg_tm *tm;

	if (microseconds < 0)
	{
		microseconds += USECS_PER_SEC;
		seconds--;
	}
	tm = pg_gmtime(&seconds);
	return psprintf("timestamptz '%04d-%02d-%02d %02d:%02d:%02d.%06d+00'",
					tm->tm_year + 1900, tm->tm_mon + 1, tm->tm_mday,
					tm->tm_hour, tm->tm_min, tm->tm_sec, (int) microseconds);
}

/* What the placeholders stand for. */

static char *
text_database(const VoxCase *c)
{
	char	   *name = voxanne_database_name(c->naming, c->node->session->database);

	return name == NULL ? psprintf("%u", c->node->session->database) : pstrdup(quote_identifier(name));
}

static char *
text_gid(const VoxCase *c)
{
	return quote_literal_cstr(c->node->session->gid);
}

static char *
text_progress(const VoxCase *c)
{
	int			percent;

	return voxanne_session_progress(c->node->session, &percent);
}

static char *
text_queued(const VoxCase *c)
{
	return voxanne_count_of(c->node->queued, "session waits", "sessions wait");
}

static char *
text_root(const VoxCase *c)
{
	return voxanne_party_label(c->node->root);
}

static char *
text_type(const VoxCase *c)
{
	const char *type = voxanne_session_type(c->node->session);

	return pstrdup(type == NULL ? "background worker" : type);
}

static char *
text_user(const VoxCase *c)
{
	char	   *name = voxanne_user_name(c->naming, c->node->session->userid);

	return name == NULL ? psprintf("%u", c->node->session->userid) : pstrdup(quote_identifier(name));
}
