# dbt: seeds, views, tables, incremental models, a snapshot, tests, documentation; twice, since the second time differs.
export PYTHONDONTWRITEBYTECODE=1 DBT_SEND_ANONYMOUS_USAGE_STATS=false DBT_PROFILES_DIR=. DBT_USE_COLORS=false DBT_TARGET_PATH="$WORK/target" DBT_LOG_PATH="$WORK/log"
dbt() { echo "dbt $*"; .venv/bin/dbt --quiet --no-use-colors "$@" 2>&1 | sed -E 's/^[0-9:]{8} +//; s/ in [0-9.]+s//' | grep -vE '^ *$'; }
dbt debug | grep -E 'ERROR|error|OK'
for _ in 1 2; do
  dbt seed
  dbt run --threads 4
  dbt snapshot
  dbt test
done
dbt run --full-refresh
dbt docs generate
dbt run-operation grant_all
dbt show --select totals
"$BIN/psql" -X -A -t -c 'select customer, total from dbt_shop.totals order by 1' -c 'select count(*) from dbt_shop.kept' -c 'select count(*) from dbt_shop.growing' -c 'select nspname from pg_namespace where nspname like $$dbt%$$ order by 1'
