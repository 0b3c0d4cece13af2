# pgbench: its tables filled in both ways, each builtin script and a pipeline in each protocol; then what must be true of the balances.
bench() { "$BIN/pgbench" -n -c 4 -j 2 -t 25 "$@" 2>&1 | grep -E 'processed|aborted|ERROR|error|FATAL'; }
fill() { "$BIN/pgbench" -i -q "$@" 2>&1 | grep -E 'ERROR|error|FATAL'; }
fill
fill -I dtGvpf --partitions=3
cd "$WORK"
printf '\\startpipeline\nselect abalance from pgbench_accounts where aid = 1;\nselect abalance from pgbench_accounts where aid = 2;\n\\endpipeline\n' >pipeline.sql
printf 'select abalance from pgbench_accounts where aid = 1 \\gset\nselect 1 as one \\; select 2 as two \\aset\n' >gset.sql
for script in btpcb-like bsimple-update bselect-only fgset.sql; do
  echo "simple $script"
  bench -M simple "-$script"
done
for protocol in extended prepared; do
  for script in btpcb-like bsimple-update bselect-only fpipeline.sql; do
    echo "$protocol $script"
    bench -M "$protocol" "-$script"
  done
done
bench -C -btpcb-like
"$BIN/psql" -X -A -t -c 'select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history), count(*) from pgbench_history'
