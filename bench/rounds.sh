# Shared by bench/backup and bench/archives: commands in turn, round after round, and what they took.
# To be sourced after tools/lib.sh by a script that has RUN (name => command), NAMES, WORK and ROUNDS.

# Processor time of the machine so far: idle and in all, in ticks.
processor_ticks() { awk '$1 == "cpu" { print $5, $2 + $3 + $4 + $5 + $6 + $7 + $8 }' /proc/stat; }

# Wait until the processors are idle, so that what else runs here now and then is not timed; 3 s at most.
wait_idle() {
    local tries before after
    for ((tries = 0; tries < 30; tries++)); do
        before=($(processor_ticks))
        sleep 0.1
        after=($(processor_ticks))
        [ $((20 * (after[0] - before[0]))) -lt $((19 * (after[1] - before[1]))) ] || return 0
    done
}

# Time every command of NAMES in turn, ROUNDS times; writes lines to $WORK/times.
time_rounds() {
    local round name TIMEFORMAT='%R %U %S'
    for ((round = 0; round < ROUNDS; round++)); do
        for name in "${NAMES[@]}"; do
            wait_idle
            { time as_user bash -c "${RUN[$name]}" 2>"$WORK/errors"; } 2>"$WORK/time" ||
                die "$name: $(cat "$WORK/errors")"
            printf '%s\t%s\n' "$name" "$(tail -n 1 "$WORK/time" | tr ' ' '\t')" >>"$WORK/times"
        done
    done
}

# Print the least and the median wall time and the median processor time of each; then, for lines "words
# TAB name [TAB name ...] TAB / TAB name" on standard input, ratios of the medians (sums of them first).
print_times() {
    awk -F '\t' '
        FNR == NR { n[$1]++; wall[$1, n[$1]] = $2; cpu[$1, n[$1]] = $3 + $4; if (n[$1] == 1) order[++count] = $1; next }
        function median(of, name,    i, j, k, v) {
            for (i = 1; i <= n[name]; i++) v[i] = of[name, i]
            for (i = 2; i <= n[name]; i++) { k = v[i]; for (j = i - 1; j > 0 && v[j] > k; j--) v[j + 1] = v[j]; v[j + 1] = k }
            return n[name] % 2 ? v[(n[name] + 1) / 2] : (v[n[name] / 2] + v[n[name] / 2 + 1]) / 2
        }
        function least(of, name,    i, v) { v = of[name, 1]; for (i = 2; i <= n[name]; i++) if (of[name, i] < v) v = of[name, i]; return v }
        function print_table(    i, name) {
            printf "%-46s %8s %8s %8s\n", n[order[1]] " rounds, seconds", "least", "median", "cpu"
            for (i = 1; i <= count; i++) {
                name = order[i]; w[name] = median(wall, name)
                printf "%-46s %8.3f %8.3f %8.3f\n", name, least(wall, name), w[name], median(cpu, name)
            }
            print ""
        }
        FNR == 1 { print_table() }
        {
            sum = 0
            for (i = 2; $i != "/"; i++) sum += w[$i]
            printf "%-66s %5.2f\n", $1, sum / w[$(i + 1)]
        }' "$WORK/times" -
}
