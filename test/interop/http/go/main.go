// Does every step with net/http and prints one JSON object for each; with `serve FOLDER UPSTREAM` it is a server instead: files of
// that folder, and the rest by httputil.ReverseProxy.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

var base = cmpOr(os.Getenv("COUNTERSIGN_URL"), os.Getenv("BASE"))
var client = &http.Client{Transport: transport()}
var big = bytes.Repeat([]byte("countersign "), 250_000)

type asked struct {
	method string
	fields map[string]string
	body   io.Reader
	once   bool
	ctx    context.Context
}

type answer struct {
	status int
	fields http.Header
	body   []byte
}

func main() {
	if len(os.Args) > 3 && os.Args[1] == "serve" {
		serve(os.Args[2], os.Args[3])
		return
	}
	for _, step := range strings.Split(os.Getenv("STEPS"), ",") {
		value, err := steps[step]()
		if err != nil {
			value = []any{"failed: " + err.Error()}
		}
		line, _ := json.Marshal(map[string]any{"step": step, "value": value})
		fmt.Println(string(line))
	}
}

func transport() *http.Transport {
	made := &http.Transport{MaxIdleConnsPerHost: 20, ExpectContinueTimeout: 30 * time.Second}
	if path := os.Getenv("HTTP_SOCKET"); path != "" {
		made.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}
	}
	if dir := os.Getenv("TLS_DIR"); dir != "" {
		pair, err := tls.LoadX509KeyPair(dir+"/svid.pem", dir+"/key.pem")
		if err != nil {
			panic(err)
		}
		roots := x509.NewCertPool()
		pem, _ := os.ReadFile(dir + "/bundle.pem")
		roots.AppendCertsFromPEM(pem)
		made.TLSClientConfig = &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, ServerName: "gateway.test"}
	}
	return made
}

func open(path string, how asked) (*http.Response, error) {
	if how.ctx == nil {
		how.ctx = context.Background()
	}
	request, err := http.NewRequestWithContext(how.ctx, cmpOr(how.method, "GET"), base+path, how.body)
	if err != nil {
		return nil, err
	}
	for name, value := range how.fields {
		request.Header.Set(name, value)
	}
	if how.once {
		return client.Transport.RoundTrip(request)
	}
	return client.Do(request)
}

func ask(path string, how asked) (answer, error) {
	response, err := open(path, how)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, body}, err
}

func seen(got answer, err error, names ...string) ([]any, error) {
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		names = []string{"content-type", "content-length", "etag", "x-own"}
	}
	value := []any{got.status}
	for _, name := range names {
		if all := got.fields.Values(name); len(all) > 0 {
			value = append(value, all[0])
		} else {
			value = append(value, nil)
		}
	}
	if len(got.body) > 200 {
		sum := sha256.Sum256(got.body)
		return append(value, hex.EncodeToString(sum[:])[:16]), nil
	}
	return append(value, string(got.body)), nil
}

func fields(pairs ...string) map[string]string {
	made := map[string]string{}
	for at := 0; at+1 < len(pairs); at += 2 {
		made[pairs[at]] = pairs[at+1]
	}
	return made
}

func simple(path string, how asked, names ...string) func() ([]any, error) {
	return func() ([]any, error) {
		got, err := ask(path, how)
		return seen(got, err, names...)
	}
}

func sending(method string, body func() io.Reader, pairs ...string) func() ([]any, error) {
	return func() ([]any, error) {
		got, err := ask("/v1/echo", asked{method: method, body: body(), fields: fields(pairs...)})
		return seen(got, err)
	}
}

func whole() io.Reader { return bytes.NewReader(big) }

// Of which net/http does not know how long it is.
func unknown() io.Reader { return io.MultiReader(bytes.NewReader(big)) }

var steps = map[string]func() ([]any, error){
	"get":      simple("/v1/item", asked{}),
	"head":     simple("/v1/item", asked{method: "HEAD"}),
	"post":     sending("POST", func() io.Reader { return strings.NewReader(`{"name":"ünï","n":[1,2]}`) }, "content-type", "application/json"),
	"upload":   sending("PUT", whole),
	"continue": sending("PUT", whole, "expect", "100-continue"),
	"chunked":  sending("POST", unknown),
	"download": simple("/v1/files/big.bin", asked{}),
	"gzip":     simple("/v1/zipped", asked{}, "content-type"),
	"redirect": simple("/v1/moved", asked{}),
	"moved":    simple("/v1/moved", asked{once: true}, "location"),
	"cookies": func() ([]any, error) {
		got, err := ask("/v1/cookie", asked{})
		if err != nil {
			return nil, err
		}
		cookie := strings.Split(got.fields.Get("set-cookie"), ";")[0]
		again, err := ask("/v1/cookie", asked{fields: fields("cookie", cookie)})
		value, err := seen(again, err)
		return append([]any{cookie}, value...), err
	},
	"range": simple("/v1/files/big.bin", asked{fields: fields("range", "bytes=10-19")}, "content-range"),
	"conditional": func() ([]any, error) {
		got, err := ask("/v1/files/small.txt", asked{})
		if err != nil {
			return nil, err
		}
		pairs := fields("if-none-match", cmpOr(got.fields.Get("etag"), `"none"`), "if-modified-since", got.fields.Get("last-modified"))
		if got.fields.Get("etag") == "" {
			delete(pairs, "if-none-match")
		}
		again, err := ask("/v1/files/small.txt", asked{fields: pairs})
		return []any{again.status, len(again.body)}, err
	},
	"reuse": func() ([]any, error) {
		bodies := []any{}
		for range 200 {
			got, err := ask("/v1/item", asked{})
			if err != nil {
				return nil, err
			}
			if !slices.Contains(bodies, any(string(got.body))) {
				bodies = append(bodies, string(got.body))
			}
		}
		return bodies, nil
	},
	"concurrent": func() ([]any, error) {
		all := make([]any, 20)
		var group sync.WaitGroup
		for at := range all {
			group.Go(func() {
				got, err := ask(fmt.Sprintf("/v1/number/%d", at), asked{})
				all[at] = string(got.body)
				if err != nil {
					all[at] = err.Error()
				}
			})
		}
		group.Wait()
		return all, nil
	},
	"cancel": func() ([]any, error) {
		ctx, stop := context.WithCancel(context.Background())
		response, err := open("/v1/hang", asked{ctx: ctx})
		if err != nil {
			stop()
			return nil, err
		}
		first := make([]byte, 100)
		count, _ := response.Body.Read(first)
		stop()
		response.Body.Close()
		got, err := ask("/v1/item", asked{})
		value, err := seen(got, err)
		return append([]any{string(first[:count]), "cancelled"}, value...), err
	},
	"timeout": func() ([]any, error) {
		ctx, stop := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer stop()
		if _, err := ask("/v1/silent", asked{ctx: ctx}); err != nil {
			return []any{"timed out"}, nil
		}
		return []any{"answered"}, nil
	},
	"cut": func() ([]any, error) {
		if _, err := ask("/v1/cut", asked{}); err != nil {
			return []any{"broken"}, nil
		}
		return []any{"whole"}, nil
	},
	"sse":     simple("/v1/events", asked{}, "content-type"),
	"failure": simple("/v1/failure", asked{}),
	"denied": func() ([]any, error) {
		got, err := ask("/v1/item", asked{method: "DELETE"})
		var problem struct{ Reason string }
		_ = json.Unmarshal(got.body, &problem)
		return []any{got.status, got.fields.Get("content-type"), problem.Reason}, err
	},
	"masked": simple("/v1/person", asked{}, "content-type"),
}

func serve(folder, upstream string) {
	place, err := url.Parse(upstream)
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/files/", http.StripPrefix("/v1/files/", http.FileServer(http.Dir(folder))))
	mux.Handle("/", &httputil.ReverseProxy{
		Rewrite:       func(request *httputil.ProxyRequest) { request.SetURL(place) },
		FlushInterval: -1,
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("{\"port\":%d}\n", listener.Addr().(*net.TCPAddr).Port)
	panic(http.Serve(listener, mux))
}

func cmpOr(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}
