# pg_dump and pg_restore with large objects: all formats, restored into the emptied database, must say what was there before.
psql() { "$BIN/psql" -X -q -A -t "$@"; }
dump() { "$BIN/pg_dump" "$@"; }
PGHOST=$BESIDE_HOST PGPORT=$BESIDE_PORT psql -f seed.sql 2>&1 | grep -v WARNING
dump --restrict-key=same -b >"$WORK/before.sql"
cat "$WORK/before.sql"
for format in c d t; do
  echo "format $format"
  dump -b -F$format -f "$WORK/dump-$format" || continue
  psql -c 'drop schema archive cascade' -c 'drop publication everything' -c 'select lo_unlink(oid) from pg_largeobject_metadata' 2>&1 | sort | uniq -c
  "$BIN/pg_restore" -l "$WORK/dump-$format" | grep -vE 'SCHEMA - (public|elsewhere)|elsewhere|COMMENT - EXTENSION' >"$WORK/list"
  "$BIN/pg_restore" --no-owner --single-transaction -L "$WORK/list" -d "$PGDATABASE" "$WORK/dump-$format"
  dump --restrict-key=same -b | diff "$WORK/before.sql" - && echo restored
done
dump -Fd -j2 -f "$WORK/dump-parallel" && "$BIN/pg_restore" --clean --if-exists -j2 -L "$WORK/list" -d "$PGDATABASE" "$WORK/dump-parallel"
dump --restrict-key=same -b | diff "$WORK/before.sql" - && echo 'restored in parallel'
dump --restrict-key=same --inserts --rows-per-insert=10 --column-inserts -n archive
