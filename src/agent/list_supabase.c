/*
 * src/agent/list_supabase.c
 *		Provider supabase: what the Management API says of a project's backups.
 *
 * It is a claim of somebody's API and shows nothing of a backup, so the proof is
 * never more than "listed".  With point-in-time recovery there may be no daily
 * backups; without it walg_enabled proves nothing.
 */
#include "list.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void list_supabase(Listing *listing);

const ListProvider supabase_provider = {
	.name = "supabase",
	.needs_secret = true,
	.secret = "the access token",
	.list = list_supabase,
};

static void
judge_pitr(Listing *listing, const ProjectBackups *backups)
{
	Check	   *check = report_check(listing->report, "recovery_window");
	int64_t		wanted = (int64_t) listing->transfer->request.window_seconds;

	if (backups->earliest < 0 || backups->latest < 0 || backups->latest < backups->earliest)
	{
		check_set(check, CHECK_FAILED, "Point-in-time recovery is on, but the API states no recovery window.");
		return;
	}
	listing->found.id = xstrdup("pitr");
	listing->found.finished_at = backups->latest;
	listing->window_from = backups->earliest;
	listing->window_to = backups->latest;
	listing->proof = "listed";
	if (backups->latest - backups->earliest < wanted)
		check_set(check, CHECK_WARNING, "A restore can go to any time from %s to %s, which is less than the %s wanted.",
				  utc_time(backups->earliest), utc_time(backups->latest), length_of_time(wanted));
	else
		check_set(check, CHECK_PASSED, "A restore can go to any time from %s to %s.",
				  utc_time(backups->earliest), utc_time(backups->latest));
}

static void
judge_daily(Listing *listing, const ProjectBackups *backups)
{
	Check	   *check = report_check(listing->report, "backups");

	if (backups->completed_at < 0)
	{
		check_set(check, CHECK_FAILED, "The API lists no completed backup, among %s.", count_of(backups->count, "backup", "backups"));
		return;
	}
	listing->found.id = backups->completed_id;
	listing->found.finished_at = backups->completed_at;
	listing->proof = "listed";
	if (backups->failed_at > backups->completed_at)
		check_set(check, CHECK_WARNING, "The backup of %s failed; the newest completed one is of %s.",
				  utc_time(backups->failed_at), utc_time(backups->completed_at));
	else
		check_set(check, CHECK_PASSED, "The API lists %s, the newest completed one of %s.",
				  count_of(backups->count, "backup", "backups"), utc_time(backups->completed_at));
}

static void
authorize(Listing *listing, const char *method)
{
	listing->transfer->headers = listing->provider_state;
}

static void
list_supabase(Listing *listing)
{
	Transfer   *transfer = listing->transfer;
	char	   *headers[2] = {NULL, NULL};
	size_t		len = strlen(transfer->request.url);
	char	   *url;
	ProjectBackups backups;
	RequestEnd	end;
	const char *problem;

	if (strpbrk(listing->secret, " \t\r\n") != NULL)
	{
		report_error(listing->report, "secret_file", xstrdup("The file with the access token holds more than that."), NULL);
		return;
	}
	while (len > 0 && transfer->request.url[len - 1] == '/')
		len--;
	url = format("%.*s/database/backups", (int) len, transfer->request.url);
	headers[0] = format("Authorization: Bearer %s", listing->secret);
	listing->provider_state = headers;
	listing->authorize = authorize;
	end = listing_request(listing, "GET", url);
	if (end == REQUEST_NOT_FOUND)
		check_set(report_check(listing->report, "backups"), CHECK_FAILED, "There is no such project: %s", transfer->detail);
	else if (end == REQUEST_BROKEN_OFF)
		listing_bad_response(listing, transfer->too_large ? "it is too long" : "it broke off");
	else if (end == REQUEST_DONE)
	{
		problem = supabase_read_answer(transfer->body, transfer->body_len, &backups);
		if (problem != NULL)
			listing_bad_response(listing, problem);
		else if (backups.pitr)
			judge_pitr(listing, &backups);
		else
			judge_daily(listing, &backups);
	}
	explicit_bzero(headers[0], strlen(headers[0]));
	free(url);
}
