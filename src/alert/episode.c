/*
 * src/alert/episode.c
 *		When there is something to tell: once, again after a while, and when it is over.
 *
 * A target that was told to be bad is an episode, and its latest alert is the
 * only memory of that: the row of alert_outbox that is "open".  A new problem
 * and a recovery are only believed of a target that has just been verified,
 * since the mere passing of time may make a backup look old although there is
 * a newer one by now.  Of targets that are paused or suspended nothing is told.
 */
#include "postgres.h"

#include "alert/alert.h"
#include "backup/alerts.h"
#include "backup/statement.h"
#include "core/extension.h"
#include "core/finding.h"
#include "core/settings.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

static List *read_episodes(VoxStore *store);
static VoxEpisode *find_episode(List *episodes, const char *subject);
static VoxAlertEvent decide(const VoxTarget *target, const VoxTargetState *state,
							const VoxEpisode *episode, TimestampTz now);
static TimestampTz reminder_time(const VoxEpisode *episode, TimestampTz now);
static void raise_for_target(VoxStore *store, const VoxTarget *target, const VoxEpisode *episode,
							 TimestampTz now);
static void raise_removals(VoxStore *store, List *episodes, List *targets, TimestampTz now);
static void write_alert(VoxStore *store, VoxAlert *alert);
static TimestampTz episode_due(const VoxEpisode *episode, List *targets, TimestampTz now);
static TimestampTz delivery_due(VoxStore *store, TimestampTz now);

/* Without a URL nothing is written, so that setting it later does not set off what is long over. */
void
voxanne_alerts_raise(VoxStore *store, List *targets, TimestampTz now)
{
	List	   *episodes;
	ListCell   *lc;

	if (voxanne_webhook_url_file[0] == '\0')
		return;
	episodes = read_episodes(store);
	foreach(lc, targets)
	{
		VoxTarget  *target = lfirst(lc);

		raise_for_target(store, target, find_episode(episodes, target->name), now);
	}
	raise_removals(store, episodes, targets, now);
}

static List *
read_episodes(VoxStore *store)
{
	VoxStatement query;
	List	   *episodes = NIL;
	MemoryContext old;
	int			count;

	voxanne_statement_start(&query, psprintf("SELECT subject, key, severity::text, since, sent_at FROM %s WHERE open"
											 " ORDER BY subject COLLATE \"C\"",
											 voxanne_own_name("alert_outbox")));
	count = voxanne_statement_run(&query);
	old = MemoryContextSwitchTo(store->caller);
	for (int row = 0; row < count; row++)
	{
		VoxEpisode *episode = palloc0_object(VoxEpisode);

		episode->subject = voxanne_field_text(row, 1);
		episode->key = voxanne_field_text(row, 2);
		episode->severity = voxanne_severity_parse(voxanne_field_text(row, 3));
		episode->since = voxanne_field_time(row, 4);
		episode->sent_at = voxanne_field_time(row, 5);
		episodes = lappend(episodes, episode);
	}
	MemoryContextSwitchTo(old);
	return episodes;
}

static VoxEpisode *
find_episode(List *episodes, const char *subject)
{
	ListCell   *lc;

	foreach(lc, episodes)
	{
		VoxEpisode *episode = lfirst(lc);

		if (strcmp(episode->subject, subject) == 0)
			return episode;
	}
	return NULL;
}

/* What is to be told of a target, whose episode is NULL if it was not told to be bad. */
static VoxAlertEvent
decide(const VoxTarget *target, const VoxTargetState *state, const VoxEpisode *episode, TimestampTz now)
{
	bool		verified = target->verified_at == now;

	if (!state->active)
		return VOX_ALERT_NONE;
	if (episode == NULL)
		return verified && state->severity > VOX_INFO ? VOX_ALERT_PROBLEM : VOX_ALERT_NONE;
	if (state->severity == VOX_INFO)
		return verified ? VOX_ALERT_RECOVERY : VOX_ALERT_NONE;
	if (verified && (state->severity != episode->severity ||
					 strcmp(voxanne_finding_key(state->check, target->name, NULL), episode->key) != 0))
		return VOX_ALERT_PROBLEM;
	return reminder_time(episode, now) <= now ? VOX_ALERT_REMINDER : VOX_ALERT_NONE;
}

/*
 * When to tell it again; DT_NOEND while it has not been told, as it is going to
 * be.  A time that lies ahead was set by a clock that was wrong.
 */
static TimestampTz
reminder_time(const VoxEpisode *episode, TimestampTz now)
{
	int			pause = episode->severity == VOX_CRITICAL ? voxanne_alert_repeat_critical : voxanne_alert_repeat_warning;

	if (pause == 0 || TIMESTAMP_IS_NOBEGIN(episode->sent_at))
		return DT_NOEND;
	if (episode->sent_at > now + VOX_CLOCK_SLACK)
		return now;
	return episode->sent_at + pause * USECS_PER_SEC;
}

static void
raise_for_target(VoxStore *store, const VoxTarget *target, const VoxEpisode *episode, TimestampTz now)
{
	VoxTargetState state;
	VoxAlert	alert = {
		.subject = target->name,
		.before = episode,
		.target = target,
		.state = &state,
		.now = now,
	};

	voxanne_assess_target(target, now, &state);
	alert.event = decide(target, &state, episode, now);
	if (alert.event == VOX_ALERT_NONE)
		return;
	alert.severity = state.severity;
	alert.key = alert.event == VOX_ALERT_RECOVERY ? episode->key :
		voxanne_finding_key(state.check, target->name, NULL);
	write_alert(store, &alert);
}

/* What was told to be bad and is a target no more will never be good again. */
static void
raise_removals(VoxStore *store, List *episodes, List *targets, TimestampTz now)
{
	ListCell   *lc;

	foreach(lc, episodes)
	{
		VoxEpisode *episode = lfirst(lc);
		VoxAlert	alert = {
			.event = VOX_ALERT_REMOVAL,
			.subject = episode->subject,
			.key = episode->key,
			.severity = VOX_INFO,
			.before = episode,
			.now = now,
		};

		if (voxanne_find_target(targets, episode->subject) == NULL)
			write_alert(store, &alert);
	}
}

/* It is the latest word on its subject, and open unless the problem is over. */
static void
write_alert(VoxStore *store, VoxAlert *alert)
{
	bool		open = alert->event == VOX_ALERT_PROBLEM || alert->event == VOX_ALERT_REMINDER;
	const char *outbox = voxanne_own_name("alert_outbox");
	VoxStatement query;

	voxanne_alert_compose(store, alert);
	voxanne_statement_start(&query, psprintf("UPDATE %s SET open = false WHERE subject = $1 AND open", outbox));
	voxanne_bind_text(&query, alert->subject);
	voxanne_statement_run(&query);

	voxanne_statement_start(&query, psprintf(
											 "INSERT INTO %s (created_at, next_attempt_at, severity, message, subject, key, event, since, open, details)"
											 " VALUES ($1, $1, $2::%s, $3, $4, $5, $6, $7, $8::boolean, $9::jsonb)",
											 outbox, voxanne_own_name("voxanne_severity")));
	voxanne_bind_time(&query, alert->now);
	voxanne_bind_text(&query, voxanne_severity_name(alert->severity));
	voxanne_bind_text(&query, alert->message);
	voxanne_bind_text(&query, alert->subject);
	voxanne_bind_text(&query, alert->key);
	voxanne_bind_text(&query, voxanne_alert_event_name(alert->event));
	voxanne_bind_time(&query, alert->before != NULL ? alert->before->since : alert->now);
	voxanne_bind_text(&query, open ? "true" : "false");
	voxanne_bind_text(&query, alert->details);
	voxanne_statement_run(&query);
}

TimestampTz
voxanne_alerts_due(VoxStore *store, List *targets, TimestampTz now)
{
	TimestampTz due = DT_NOEND;
	ListCell   *lc;

	if (voxanne_webhook_url_file[0] == '\0')
		return DT_NOEND;
	foreach(lc, read_episodes(store))
		due = Min(due, episode_due(lfirst(lc), targets, now));
	return Min(due, delivery_due(store, now));
}

/* When decide() will have something to say although nothing is verified until then. */
static TimestampTz
episode_due(const VoxEpisode *episode, List *targets, TimestampTz now)
{
	VoxTarget  *target = voxanne_find_target(targets, episode->subject);
	VoxTargetState state;

	if (target == NULL)
		return now;
	voxanne_assess_target(target, now, &state);
	return state.active && state.severity > VOX_INFO ? reminder_time(episode, now) : DT_NOEND;
}

static TimestampTz
delivery_due(VoxStore *store, TimestampTz now)
{
	VoxStatement query;
	TimestampTz due;

	voxanne_statement_start(&query, psprintf(
											 "SELECT min(CASE WHEN next_attempt_at > $2 THEN $1 ELSE next_attempt_at END) FROM"
											 " (SELECT DISTINCT ON (subject) next_attempt_at FROM %s WHERE sent_at IS NULL"
											 "  ORDER BY subject, created_at, id) AS first_of_subject", voxanne_own_name("alert_outbox")));
	voxanne_bind_time(&query, now);
	voxanne_bind_time(&query, now + VOX_LONGEST_WAIT);
	voxanne_statement_run(&query);
	due = voxanne_field_time(0, 1);
	return TIMESTAMP_IS_NOBEGIN(due) ? DT_NOEND : due;
}
