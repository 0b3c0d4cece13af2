export NODE_NO_WARNINGS=1
# node-pg-migrate: up, all the way down, up again; with its lock, in schemas of their own, and from SQL files.
export DATABASE_URL="postgres://$PGUSER:unused@127.0.0.1:$TCP_PORT/$PGDATABASE"
migrate() { npx --no-install node-pg-migrate -m migrations "$@" 2>&1 | grep -vE '^ *at |Node.js v'; }
migrate up
migrate down 3
migrate redo
migrate up --schema elsewhere --migrations-schema elsewhere
"$BIN/psql" -X -A -t -c 'select name from pgmigrations order by id' -c 'table totals' -c 'select name from elsewhere.pgmigrations order by id'
