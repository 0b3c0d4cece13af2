// What a SPIRE agent does on the wire, done with SPIRE's own API messages and grpc-go: it attests, fetches the bundle, says its version,
// synchronises entries, has X.509-SVIDs and JWT-SVIDs issued, and renews. Each line of standard input is one JSON command, each line
// of standard output its answer; `error` in an answer holds the status code, its text and the reason from the status details.
//
// Arguments: address of the server, trust domain, file with the server's CA certificates.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/spire-api-sdk/proto/spire/api/types"
	"google.golang.org/grpc/status"
)

// command is one line of input; which fields count depends on Do.
type command struct {
	Do          string   `json:"do"`
	Type        string   `json:"type"`
	Token       string   `json:"token"`
	Certificate string   `json:"certificate"`
	Key         string   `json:"key"`
	Version     string   `json:"version"`
	Entries     []string `json:"entries"`
	Audience    []string `json:"audience"`
	TrustDomain string   `json:"trustDomain"`
}

type answer map[string]any

func main() {
	trustDomain := spiffeid.RequireTrustDomainFromString(os.Args[2])
	bundle, err := x509bundle.Load(trustDomain, os.Args[3])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	a := &agent{address: os.Args[1], trustDomain: trustDomain, bundle: bundle, entries: map[string]*types.Entry{}}
	defer a.drop()
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var next command
		if err := json.Unmarshal(lines.Bytes(), &next); err != nil {
			reply(nil, err)
			continue
		}
		reply(a.obey(next))
	}
}

func (a *agent) obey(next command) (answer, error) {
	// The deadline that a SPIRE agent gives its calls.
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	switch next.Do {
	case "attest":
		return a.attest(ctx, next)
	case "status":
		return a.postStatus(ctx, next.Version)
	case "sync":
		return a.sync(ctx)
	case "bundle":
		return a.fetchBundle(ctx)
	case "federated":
		return a.fetchFederated(ctx, next.TrustDomain)
	case "mint":
		return a.mint(ctx, next.Entries)
	case "jwt":
		return a.issueJWT(ctx, next.Entries, next.Audience)
	case "renew":
		return a.renew(ctx)
	default:
		return nil, fmt.Errorf("unknown command %q", next.Do)
	}
}

func reply(a answer, err error) {
	if err != nil {
		a = answer{"error": describe(err)}
	}
	line, err := json.Marshal(a)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

func describe(err error) answer {
	var withStatus interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &withStatus) {
		return answer{"code": "", "message": err.Error()}
	}
	s := withStatus.GRPCStatus()
	out := answer{"code": s.Code().String(), "message": s.Message()}
	for _, detail := range s.Details() {
		if refusal, ok := detail.(*types.PermissionDeniedDetails); ok {
			out["reason"] = refusal.Reason.String()
		}
	}
	return out
}
