// Command go is pgx, the Go driver: runs the steps it is asked for and prints one JSON object for each.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

type step func(context.Context, *pgx.Conn) ([]string, error)

var steps = map[string]step{
	"connect": func(ctx context.Context, conn *pgx.Conn) ([]string, error) {
		return rows(ctx, conn, "select current_database()")
	},
	"simple":       simple,
	"parameters":   parameters,
	"types-text":   typesText,
	"types-binary": func(ctx context.Context, conn *pgx.Conn) ([]string, error) { return rows(ctx, conn, kinds) },
	"types-own":    typesOwn,
	"prepared":     prepared,
	"pipeline":     pipeline,
	"transaction":  transaction,
	"copy-in":      copyIn,
	"copy-out":     copyOut,
	"cancel":       cancel,
	"listen":       listen,
	"million":      million,
	"denied":       denied,
}

const kinds = "select * from kinds order by id"

func main() {
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	defer stop()
	conn, err := connect(ctx)
	if err != nil {
		fail("connect", err)
	}
	for _, name := range strings.Split(os.Getenv("STEPS"), ",") {
		result, err := steps[name](ctx, conn)
		if err != nil {
			fail(name, err)
		}
		emit(map[string]any{"step": name, "ok": true, "result": result})
	}
	conn.Close(ctx)
}

func connect(ctx context.Context) (*pgx.Conn, error) {
	settings := []string{
		"host=" + os.Getenv("DB_HOST"), "port=" + os.Getenv("DB_PORT"), "user=" + os.Getenv("DB_USER"), "dbname=" + os.Getenv("DB_NAME"),
	}
	if password, ok := os.LookupEnv("DB_PASSWORD"); ok {
		settings = append(settings, "password="+password)
	}
	if certificate, ok := os.LookupEnv("DB_CERTIFICATE"); ok {
		settings = append(settings, "sslmode=verify-full", "sslnegotiation="+os.Getenv("DB_NEGOTIATION"), "sslcert="+certificate,
			"sslkey="+os.Getenv("DB_KEY"), "sslrootcert="+os.Getenv("DB_ROOTS"))
	} else {
		settings = append(settings, "sslmode=disable")
	}
	config, err := pgx.ParseConfig(strings.Join(settings, " "))
	if err != nil {
		return nil, err
	}
	// The name that the gateway must prove, and where it is.
	if address, ok := os.LookupEnv("DB_ADDRESS"); ok {
		config.LookupFunc = func(context.Context, string) ([]string, error) { return []string{address}, nil }
	}
	return pgx.ConnectConfig(ctx, config)
}

func simple(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	results, err := conn.PgConn().Exec(ctx, "select 0; select id, name from items order by id").ReadAll()
	if err != nil {
		return nil, err
	}
	var found []string
	for _, row := range results[1].Rows {
		found = append(found, string(bytes.Join(row, []byte("|"))))
	}
	return found, nil
}

func parameters(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	return rows(ctx, conn, "select $1::int4 + 1, $2::text || '!', $3::bool, $4::text", 41, "ünï", true, nil)
}

func typesText(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	return rows(ctx, conn, kinds, pgx.QueryExecModeSimpleProtocol)
}

func typesOwn(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	known, err := conn.LoadTypes(ctx, []string{"mood", "place"})
	if err != nil {
		return nil, err
	}
	conn.TypeMap().RegisterTypes(known)
	return rows(ctx, conn, "select * from homes order by id")
}

func prepared(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	other, err := connect(ctx)
	if err != nil {
		return nil, err
	}
	defer other.Close(ctx)
	var found []string
	for _, each := range []*pgx.Conn{conn, other} {
		if _, err := each.Prepare(ctx, "item", "select name from items where id = $1"); err != nil {
			return nil, err
		}
		for id := 1; id <= 3; id++ {
			some, err := rows(ctx, each, "item", id)
			if err != nil {
				return nil, err
			}
			found = append(found, some...)
		}
	}
	return found, nil
}

// A batch has one Sync at its end: what follows the error is skipped.
func pipeline(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	batch := &pgx.Batch{}
	batch.Queue("select $1::int", 1)
	batch.Queue("insert into items values ($1, 'twice', 0)", 1)
	batch.Queue("select $1::int", 2)
	results := conn.SendBatch(ctx, batch)
	var first int
	if err := results.QueryRow().Scan(&first); err != nil {
		return nil, err
	}
	_, bad := results.Exec()
	_, skipped := results.Exec()
	results.Close()
	after, err := rows(ctx, conn, "select $1::int", 3)
	return append([]string{fmt.Sprint(first), code(bad), code(skipped)}, after...), err
}

func transaction(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	outer, err := conn.Begin(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := outer.Exec(ctx, "insert into items values (100, 'gear', 1)"); err != nil {
		return nil, err
	}
	inner, err := outer.Begin(ctx)
	if err != nil {
		return nil, err
	}
	_, bad := inner.Exec(ctx, "insert into items values ($1, 'twice', 1)", 1)
	if err := inner.Rollback(ctx); err != nil {
		return nil, err
	}
	if _, err := outer.Exec(ctx, "insert into items values ($1, 'hinge', 1)", 101); err != nil {
		return nil, err
	}
	if err := outer.Commit(ctx); err != nil {
		return nil, err
	}
	count, err := rows(ctx, conn, "select count(*) from items where id >= 100")
	if err != nil {
		return nil, err
	}
	_, err = conn.Exec(ctx, "delete from items where id >= 100")
	return append([]string{code(bad)}, count...), err
}

func copyIn(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	source := pgx.CopyFromSlice(10000, func(i int) ([]any, error) { return []any{i + 1, fmt.Sprintf("note %d", i+1)}, nil })
	if _, err := conn.CopyFrom(ctx, pgx.Identifier{"loads"}, []string{"id", "note"}, source); err != nil {
		return nil, err
	}
	found, err := rows(ctx, conn, "select count(*), sum(id)::int8 from loads")
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "delete from loads"); err != nil {
		return nil, err
	}
	_, bad := conn.PgConn().CopyFrom(ctx, strings.NewReader("nothing\tof a number\n"), "copy loads (id, note) from stdin")
	return append(found, code(bad)), nil
}

func copyOut(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	var out bytes.Buffer
	_, err := conn.PgConn().CopyTo(ctx, &out, "copy (select n, 'note ' || n from generate_series(1, 10000) n) to stdout")
	return []string{fmt.Sprint(out.Len())}, err
}

func cancel(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	emit(map[string]any{"step": "cancel", "waiting": true})
	asked := make(chan error, 1)
	go func() {
		if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
			asked <- err
			return
		}
		asked <- conn.PgConn().CancelRequest(ctx)
	}()
	_, bad := conn.Exec(ctx, "select pg_sleep(60)")
	if err := <-asked; err != nil {
		return nil, err
	}
	after, err := rows(ctx, conn, "select 1")
	return append([]string{code(bad)}, after...), err
}

func listen(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	if _, err := conn.Exec(ctx, "listen news"); err != nil {
		return nil, err
	}
	other, err := connect(ctx)
	if err != nil {
		return nil, err
	}
	defer other.Close(ctx)
	if _, err := other.Exec(ctx, "notify news, 'fresh'"); err != nil {
		return nil, err
	}
	heard, err := conn.WaitForNotification(ctx)
	if err != nil {
		return nil, err
	}
	_, err = conn.Exec(ctx, "unlisten news")
	return []string{heard.Channel + ":" + heard.Payload}, err
}

func million(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	result, err := conn.Query(ctx, "select n, md5(n::text) from generate_series(1, 1000000) n")
	if err != nil {
		return nil, err
	}
	count, sum := 0, 0
	for result.Next() {
		var n int
		var digest string
		if err := result.Scan(&n, &digest); err != nil {
			return nil, err
		}
		count++
		sum += n
	}
	return []string{fmt.Sprint(count), fmt.Sprint(sum)}, result.Err()
}

func denied(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	_, simple := conn.Exec(ctx, "select * from private", pgx.QueryExecModeSimpleProtocol)
	_, extended := conn.Exec(ctx, "select * from private where id = $1", 1)
	after, err := rows(ctx, conn, "select $1::int", 1)
	return append([]string{code(simple), code(extended)}, after...), err
}

func rows(ctx context.Context, conn *pgx.Conn, text string, values ...any) ([]string, error) {
	result, err := conn.Query(ctx, text, values...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(result, func(row pgx.CollectableRow) (string, error) {
		values, err := row.Values()
		if err != nil {
			return "", err
		}
		cells := make([]string, len(values))
		for i, value := range values {
			cells[i] = show(value)
		}
		return strings.Join(cells, "|"), nil
	})
}

func show(value any) string {
	switch value := value.(type) {
	case nil:
		return "NULL"
	case time.Time:
		return value.UTC().Format(time.RFC3339Nano)
	default:
		return fmt.Sprint(value)
	}
}

// SQLSTATE of an error; "passed" for none.
func code(err error) string {
	var known *pgconn.PgError
	switch {
	case err == nil:
		return "passed"
	case errors.As(err, &known):
		return known.Code
	default:
		return err.Error()
	}
}

func fail(name string, err error) {
	emit(map[string]any{"step": name, "ok": false, "error": err.Error()})
	os.Exit(1)
}

func emit(line any) {
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		panic(err)
	}
}
