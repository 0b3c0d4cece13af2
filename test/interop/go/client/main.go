// The official Go client of the SPIFFE Workload API, used as any service would use it: fetches, validates, then watches until the
// X.509-SVID has rotated. Prints one JSON object a step; ends with 1 at the first that fails. The socket comes from
// SPIFFE_ENDPOINT_SOCKET; the identity that is expected is the first argument.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	want := spiffeid.RequireFromString(os.Args[1])
	client, err := workloadapi.New(ctx)
	step("connect", err, nil)
	defer client.Close()
	fetchX509(ctx, client, want)
	fetchJWT(ctx, client, want)
	sources(ctx, want)
	watchRotation(ctx, client, want)
}

func fetchX509(ctx context.Context, client *workloadapi.Client, want spiffeid.ID) {
	svid, err := client.FetchX509SVID(ctx)
	if err == nil && svid.ID != want {
		err = fmt.Errorf("identity is %s", svid.ID)
	}
	step("fetch-x509-svid", err, nil)
	bundles, err := client.FetchX509Bundles(ctx)
	if err == nil {
		_, err = bundles.GetX509BundleForTrustDomain(want.TrustDomain())
	}
	step("fetch-x509-bundles", err, nil)
	id, _, err := x509svid.Verify(svid.Certificates, bundles)
	if err == nil && id != want {
		err = fmt.Errorf("verified as %s", id)
	}
	step("verify-x509-svid", err, nil)
	_, _, err = x509svid.Verify(svid.Certificates, x509bundle.NewSet())
	if err == nil {
		err = fmt.Errorf("verified without a bundle")
	} else {
		err = nil
	}
	step("refuse-without-bundle", err, nil)
}

func fetchJWT(ctx context.Context, client *workloadapi.Client, want spiffeid.ID) {
	svid, err := client.FetchJWTSVID(ctx, jwtsvid.Params{Audience: "aud1", ExtraAudiences: []string{"aud2"}})
	if err == nil && svid.ID != want {
		err = fmt.Errorf("identity is %s", svid.ID)
	}
	step("fetch-jwt-svid", err, nil)
	bundles, err := client.FetchJWTBundles(ctx)
	step("fetch-jwt-bundles", err, nil)
	_, err = jwtsvid.ParseAndValidate(svid.Marshal(), bundles, []string{"aud2"})
	step("validate-jwt-locally", err, nil)
	_, err = client.ValidateJWTSVID(ctx, svid.Marshal(), "aud1")
	step("validate-jwt-remotely", err, nil)
	_, err = client.ValidateJWTSVID(ctx, svid.Marshal(), "another")
	if err == nil {
		err = fmt.Errorf("accepted for another audience")
	} else {
		err = nil
	}
	step("refuse-another-audience", err, nil)
}

func sources(ctx context.Context, want spiffeid.ID) {
	x509Source, err := workloadapi.NewX509Source(ctx)
	step("x509-source", err, nil)
	svid, err := x509Source.GetX509SVID()
	if err == nil && svid.ID != want {
		err = fmt.Errorf("identity is %s", svid.ID)
	}
	step("x509-source-svid", err, nil)
	step("x509-source-close", x509Source.Close(), nil)
	jwtSource, err := workloadapi.NewJWTSource(ctx)
	step("jwt-source", err, nil)
	_, err = jwtSource.FetchJWTSVID(ctx, jwtsvid.Params{Audience: "aud1"})
	step("jwt-source-svid", err, nil)
	step("jwt-source-close", jwtSource.Close(), nil)
}

// watcher remembers the serial numbers that it saw; two different ones are a rotation.
type watcher struct {
	serials map[string]bool
	rotated chan struct{}
	failed  chan error
	want    spiffeid.ID
}

func (w *watcher) OnX509ContextUpdate(update *workloadapi.X509Context) {
	svid := update.DefaultSVID()
	if svid.ID != w.want {
		w.failed <- fmt.Errorf("identity is %s", svid.ID)
		return
	}
	if _, _, err := x509svid.Verify(svid.Certificates, update.Bundles); err != nil {
		w.failed <- err
		return
	}
	w.serials[svid.Certificates[0].SerialNumber.String()] = true
	if len(w.serials) == 1 {
		emit("watching", map[string]any{"serial": svid.Certificates[0].SerialNumber.String()})
	}
	if len(w.serials) == 2 {
		close(w.rotated)
	}
}

func (w *watcher) OnX509ContextWatchError(err error) {
	fmt.Fprintln(os.Stderr, "watch:", err)
}

func watchRotation(ctx context.Context, client *workloadapi.Client, want spiffeid.ID) {
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	w := &watcher{serials: map[string]bool{}, rotated: make(chan struct{}), failed: make(chan error, 8), want: want}
	go client.WatchX509Context(ctx, w)
	var err error
	select {
	case <-w.rotated:
	case err = <-w.failed:
	case <-ctx.Done():
		err = fmt.Errorf("no rotation was seen: %w", ctx.Err())
	}
	step("rotation", err, nil)
}

func step(name string, err error, extra map[string]any) {
	if err != nil {
		emit(name, map[string]any{"ok": false, "error": err.Error()})
		os.Exit(1)
	}
	emit(name, map[string]any{"ok": true})
}

func emit(name string, fields map[string]any) {
	fields["step"] = name
	line, _ := json.Marshal(fields)
	fmt.Println(string(line))
}
