# psql on a pseudo-terminal without a locale, as in a plain container: it then asks for the encoding SQL_ASCII.
export LC_ALL=C TERM=dumb PAGER=cat HOME="$WORK"
steady() { sed -E "s/with PID [0-9]+/with PID N/; s/^lo_import [0-9]+/lo_import N/; s/^ [0-9]+ \| shop_app/ N | shop_app/"; }
script --quiet --return --command "$BIN/psql -X -n -a -f script.sql" /dev/null </dev/null | tr -d "\r" | steady
echo "in UTF-8"
"$BIN/psql" -X -q -c "drop schema public cascade" -c "create schema public authorization pg_database_owner" 2>/dev/null
LC_ALL=C.UTF-8 "$BIN/psql" -X -a -f script.sql 2>&1 | steady
printf 'create table typed (a int);\ninsert into typed values (1), (2);\ntable typed;\n\\d typed\n\\conninfo\n\\q\n' >"$WORK/typed"
script --quiet --return --command "$BIN/psql -X -n" /dev/null <"$WORK/typed" | tr -d '\r' | sed 's/^You are connected.*//; s/via socket.*//' | tail -25
for encoding in SQL_ASCII UTF8 UNICODE LATIN1; do
  PGCLIENTENCODING=$encoding "$BIN/psql" -X -A -t -c 'show client_encoding' -c "select 'gr' || chr(252) || 'n'" | od -c
done
PGOPTIONS='-c search_path=elsewhere,public -c statement_timeout=5s' "$BIN/psql" -X -A -t -c 'show search_path' -c 'show statement_timeout' -c 'select id from people'
