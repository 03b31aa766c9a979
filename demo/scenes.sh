# The scenes of demo/run: a backup that is verified, the tour of the functions, a lock tree.  Sourced by it.

declare -A session_input

# Start a psql in the background that runs what tell() sends it; $1: its application_name, $2: its role.
# What it prints collects in $WORK/$1.out.
session() {
    mkfifo "$WORK/$1.in"
    PGAPPNAME=$1 ROLE=$2 demo_psql <"$WORK/$1.in" >"$WORK/$1.out" 2>&1 &
    exec {fd}>"$WORK/$1.in"
    session_input[$1]=$fd
}

tell() { printf '%s\n' "$2" >&"${session_input[$1]}"; }

# End a session, whatever it had begun.
leave() {
    tell "$1" '\q'
    exec {session_input[$1]}>&-
    unset "session_input[$1]"
}

# A notification reaches psql only together with an answer, so the listener keeps asking.
await_notification() {
    local deadline=$((SECONDS + 60))
    until grep -q '^Asynchronous notification' "$WORK/listener.out"; do
        [ $SECONDS -lt $deadline ] || die "gave up waiting for the worker's notification"
        tell listener 'SELECT pg_sleep(0.1) \g /dev/null'
        sleep 0.1
    done
}

backup_scene() {
    step "a backup with pg_basebackup, verified by the worker"
    as_user "$BINDIR/pg_basebackup" -h "$WORK" -p $PORT -U postgres -D "$WORK/backups/$(date -u +%F)" -c fast --no-sync
    show "SELECT severity, object, detail FROM backup_status()"
    session listener postgres
    printf '\nlistener=# LISTEN voxanne_ops;\n'
    tell listener 'LISTEN voxanne_ops;'
    wait_until "the listener" "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'listener' AND query LIKE 'LISTEN%' AND state = 'idle'"
    show "SELECT add_backup_target('nightly', 'basebackup', '$WORK/backups')"
    await_notification
    printf '\nlistener:\n'
    grep '^Asynchronous' "$WORK/listener.out" | fold -s -w "$WIDTH"
    leave listener
    show '\x on' "SELECT * FROM backup_verification_log ORDER BY verified_at DESC LIMIT 1"
    show "CALL verify_backup('nightly')"
    show "SELECT severity, object, detail FROM backup_status()"
}

tour_scene() {
    step "what each function says: a list, then one finding in full"
    show "SELECT severity, detail FROM find_duplicate_appointments()"
    show '\x on' "SELECT * FROM find_duplicate_appointments() LIMIT 1"
    show "SELECT severity, detail FROM find_duplicates('contacts', '{org_id,phone}')"
    show "SELECT severity, detail FROM find_orphans()"
    show '\x on' "SELECT * FROM find_orphans() LIMIT 1"
    show "SELECT severity, detail FROM find_invalid_data()"
    show '\x on' "SELECT * FROM find_invalid_data() WHERE remedy IS NOT NULL LIMIT 1"
    show "SELECT severity, check_name, object FROM check_data('call_logs', unique_keys => '{vapi_call_id}')"
    show "SELECT severity, object, detail FROM rls_audit()"
    show '\x on' "SELECT * FROM rls_audit() LIMIT 1"
    show "SELECT relation, rls_enabled, policy, command, roles FROM rls_policies() WHERE policy IS NULL OR using_expr = 'true'"
}

# A request that forgot to commit, a migration that waits for it, and requests that wait for the migration.
lock_scene() {
    local claims remedy
    step "a lock tree: a forgotten transaction, a migration behind it, requests behind that"
    demo_psql -c "CREATE ROLE booking_api LOGIN IN ROLE authenticated"
    claims=$(demo_psql -At -c "SELECT json_build_object('role', 'authenticated', 'app_metadata', json_build_object('org_id', id)) FROM organizations ORDER BY created_at DESC LIMIT 1")

    session booking-1 booking_api
    tell booking-1 "SET request.jwt.claims = '$claims'; BEGIN;"
    tell booking-1 "UPDATE appointments SET confirmation_sent = true WHERE id = (SELECT id FROM upcoming_appointments ORDER BY scheduled_at, id LIMIT 1);"
    wait_until "the forgotten transaction" "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'booking-1' AND state = 'idle in transaction' AND query LIKE 'UPDATE%'"

    session migration postgres
    tell migration "ALTER TABLE appointments ADD COLUMN reminder_sent_at timestamptz;"
    await_waiter migration
    session booking-2 booking_api
    tell booking-2 "SET request.jwt.claims = '$claims'; SELECT count(*) FROM appointments;"
    await_waiter booking-2
    session dashboard postgres
    tell dashboard "SELECT status, count(*) FROM appointments GROUP BY status;"
    await_waiter dashboard

    show "SELECT tree, severity, detail FROM blocking_locks()"
    show '\x on' "SELECT * FROM blocking_locks() LIMIT 1"
    remedy=$(demo_psql -At -c "SELECT remedy FROM blocking_locks() LIMIT 1")
    [ -n "$remedy" ] || die "blocking_locks() has no remedy for the first row"
    step "its remedy, pasted"
    show "$remedy"
    wait_until "the queue to dissolve" "SELECT count(*) = 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    show "SELECT tree, severity, detail FROM blocking_locks()"
    leave migration
    leave booking-2
    leave dashboard
    leave booking-1
    wait
}

await_waiter() {
    wait_until "$1 to wait for its lock" "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = '$1' AND wait_event_type = 'Lock'"
}
