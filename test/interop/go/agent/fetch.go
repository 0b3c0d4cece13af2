package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"fmt"
	"io"
	"sort"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	bundlev1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/bundle/v1"
	entryv1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/entry/v1"
	svidv1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/svid/v1"
	"github.com/spiffe/spire-api-sdk/proto/spire/api/types"
)

// trust replaces the authorities that the server is known by.
func (a *agent) trust(message *types.Bundle) error {
	if message.TrustDomain != a.trustDomain.Name() {
		return fmt.Errorf("the bundle is of %s", message.TrustDomain)
	}
	bundle := x509bundle.New(a.trustDomain)
	for _, authority := range message.X509Authorities {
		certificate, err := x509.ParseCertificate(authority.Asn1)
		if err != nil {
			return err
		}
		bundle.AddX509Authority(certificate)
	}
	if bundle.Empty() {
		return fmt.Errorf("the bundle has no X.509 authority")
	}
	a.bundle = bundle
	return nil
}

func (a *agent) fetchBundle(ctx context.Context) (answer, error) {
	message, err := a.bundleOfServer(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.trust(message); err != nil {
		return nil, err
	}
	return answer{
		"x509Authorities": len(message.X509Authorities),
		"jwtAuthorities":  len(message.JwtAuthorities),
		"sequence":        message.SequenceNumber,
		"refreshHint":     message.RefreshHint,
	}, nil
}

func (a *agent) bundleOfServer(ctx context.Context) (*types.Bundle, error) {
	link, err := a.link()
	if err != nil {
		return nil, err
	}
	return bundlev1.NewBundleClient(link).GetBundle(ctx, &bundlev1.GetBundleRequest{})
}

func (a *agent) fetchFederated(ctx context.Context, trustDomain string) (answer, error) {
	link, err := a.link()
	if err != nil {
		return nil, err
	}
	request := &bundlev1.GetFederatedBundleRequest{TrustDomain: trustDomain}
	message, err := bundlev1.NewBundleClient(link).GetFederatedBundle(ctx, request)
	if err != nil {
		return nil, err
	}
	return answer{"trustDomain": message.TrustDomain, "x509Authorities": len(message.X509Authorities)}, nil
}

// sync is the delta protocol: all entries in one message, or pages of revisions and then only what is new here or has changed.
func (a *agent) sync(ctx context.Context) (answer, error) {
	link, err := a.link()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := entryv1.NewEntryClient(link).SyncAuthorizedEntries(ctx)
	if err != nil {
		return nil, err
	}
	if err := send(stream, &entryv1.SyncAuthorizedEntriesRequest{OutputMask: entryMask}); err != nil {
		return nil, err
	}
	message, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	var wanted []string
	fetched, pages := 0, 1
	keep := func(entries []*types.Entry) {
		for _, entry := range entries {
			a.entries[entry.Id] = entry
			seen[entry.Id] = true
			fetched++
		}
	}
	pageSize := len(message.EntryRevisions)
	if pageSize == 0 {
		keep(message.Entries)
	}
	for pageSize > 0 {
		if len(message.Entries) > 0 {
			return nil, fmt.Errorf("entries came among revisions")
		}
		for _, revision := range message.EntryRevisions {
			seen[revision.Id] = true
			known := a.entries[revision.Id]
			if known == nil || known.RevisionNumber != revision.RevisionNumber || known.CreatedAt != revision.CreatedAt {
				wanted = append(wanted, revision.Id)
			}
		}
		if !message.More {
			break
		}
		pages++
		if message, err = stream.Recv(); err != nil {
			return nil, err
		}
	}
	for len(wanted) > 0 {
		ids := wanted[:min(len(wanted), pageSize)]
		wanted = wanted[len(ids):]
		if err := send(stream, &entryv1.SyncAuthorizedEntriesRequest{Ids: ids}); err != nil {
			return nil, err
		}
		for more := true; more; more = message.More {
			if message, err = stream.Recv(); err != nil {
				return nil, err
			}
			if len(message.EntryRevisions) > 0 {
				return nil, fmt.Errorf("revisions came among entries")
			}
			keep(message.Entries)
		}
	}
	if err := stream.CloseSend(); err != nil {
		return nil, err
	}
	if _, err := stream.Recv(); err != io.EOF {
		return nil, fmt.Errorf("the stream did not end: %w", err)
	}
	for id := range a.entries {
		if !seen[id] {
			delete(a.entries, id)
		}
	}
	return answer{"entries": a.describeEntries(), "fetched": fetched, "revisionPages": pages, "paged": pageSize > 0}, nil
}

func (a *agent) describeEntries() []answer {
	out := []answer{}
	for id, entry := range a.entries {
		spiffeID := "spiffe://" + entry.SpiffeId.TrustDomain + entry.SpiffeId.Path
		out = append(out, answer{
			"id":        id,
			"spiffeId":  spiffeID,
			"selectors": len(entry.Selectors),
			"revision":  entry.RevisionNumber,
			"createdAt": entry.CreatedAt,
			"hint":      entry.Hint,
			// Not asked for by the mask, so not there.
			"masked": entry.ParentId == nil && entry.X509SvidTtl == 0 && len(entry.DnsNames) == 0,
		})
	}
	sort.Slice(out, func(i, j int) bool { return out[i]["id"].(string) < out[j]["id"].(string) })
	return out
}

// mint has a batch of X.509-SVIDs issued, each with a key of its own, and verifies every one.
func (a *agent) mint(ctx context.Context, ids []string) (answer, error) {
	link, err := a.link()
	if err != nil {
		return nil, err
	}
	batch := &svidv1.BatchNewX509SVIDRequest{}
	var keys []*ecdsa.PrivateKey
	for _, id := range ids {
		uri := "spiffe://" + a.trustDomain.Name() + "/unknown"
		if entry := a.entries[id]; entry != nil {
			uri = "spiffe://" + entry.SpiffeId.TrustDomain + entry.SpiffeId.Path
		}
		key, csr, err := request(uri)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
		batch.Params = append(batch.Params, &svidv1.NewX509SVIDParams{EntryId: id, Csr: csr})
	}
	response, err := svidv1.NewSVIDClient(link).BatchNewX509SVID(ctx, batch)
	if err != nil {
		return nil, err
	}
	if len(response.Results) != len(ids) {
		return nil, fmt.Errorf("%d results for %d requests", len(response.Results), len(ids))
	}
	out := []answer{}
	for i, result := range response.Results {
		if result.Status.GetCode() != 0 {
			out = append(out, answer{"status": result.Status.GetCode(), "message": result.Status.GetMessage()})
			continue
		}
		svid, err := a.accept(result.Svid, keys[i])
		if err != nil {
			return nil, err
		}
		one := describeSVID(svid)
		one["status"] = 0
		out = append(out, one)
	}
	return answer{"svids": out}, nil
}

// issueJWT has a JWT-SVID issued for the first entry and validates it against the server's bundle.
func (a *agent) issueJWT(ctx context.Context, entries []string, audience []string) (answer, error) {
	link, err := a.link()
	if err != nil {
		return nil, err
	}
	request := &svidv1.NewJWTSVIDRequest{EntryId: entries[0], Audience: audience}
	response, err := svidv1.NewSVIDClient(link).NewJWTSVID(ctx, request)
	if err != nil {
		return nil, err
	}
	bundle, err := a.bundleOfServer(ctx)
	if err != nil {
		return nil, err
	}
	keys := jwtbundle.New(a.trustDomain)
	for _, authority := range bundle.JwtAuthorities {
		key, err := x509.ParsePKIXPublicKey(authority.PublicKey)
		if err != nil {
			return nil, err
		}
		if err := keys.AddJWTAuthority(authority.KeyId, key); err != nil {
			return nil, err
		}
	}
	svid, err := jwtsvid.ParseAndValidate(response.Svid.GetToken(), keys, audience[:1])
	if err != nil {
		return nil, err
	}
	told := response.Svid
	switch {
	case told.Id.GetPath() != svid.ID.Path():
		return nil, fmt.Errorf("the message says %s, the token %s", told.Id.GetPath(), svid.ID)
	case told.IssuedAt == 0 || told.ExpiresAt != svid.Expiry.Unix() || told.IssuedAt > told.ExpiresAt:
		return nil, fmt.Errorf("issued at %d, expires at %d", told.IssuedAt, told.ExpiresAt)
	}
	return answer{"id": svid.ID.String(), "audience": svid.Audience, "expiresAt": told.ExpiresAt}, nil
}

// entryMask is what a SPIRE agent asks for.
var entryMask = &types.EntryMask{
	SpiffeId: true, Selectors: true, FederatesWith: true, Admin: true, Downstream: true,
	RevisionNumber: true, StoreSvid: true, Hint: true, CreatedAt: true, AdditionalAttributes: true,
}
