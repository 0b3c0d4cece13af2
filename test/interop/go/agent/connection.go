package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"net/url"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/spire-api-sdk/proto/spire/api/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// agent is all that a node keeps: what it trusts, who it is, what it was told.
type agent struct {
	address     string
	trustDomain spiffeid.TrustDomain
	bundle      *x509bundle.Bundle
	svid        *x509svid.SVID
	connection  *grpc.ClientConn
	entries     map[string]*types.Entry
}

// dial opens a connection to the server, which must prove to be spiffe://<trust domain>/spire/server.
func (a *agent) dial(svid *x509svid.SVID) (*grpc.ClientConn, error) {
	id, err := spiffeid.FromPath(a.trustDomain, "/spire/server")
	if err != nil {
		return nil, err
	}
	config := tlsconfig.TLSClientConfig(a.bundle, tlsconfig.AuthorizeID(id))
	if svid != nil {
		config = tlsconfig.MTLSClientConfig(svid, a.bundle, tlsconfig.AuthorizeID(id))
	}
	return grpc.NewClient(a.address,
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`),
		grpc.WithDisableServiceConfig())
}

// link is the connection that carries the agent's own SVID.
func (a *agent) link() (*grpc.ClientConn, error) {
	if a.svid == nil {
		return nil, fmt.Errorf("not attested")
	}
	if a.connection == nil {
		connection, err := a.dial(a.svid)
		if err != nil {
			return nil, err
		}
		a.connection = connection
	}
	return a.connection, nil
}

func (a *agent) drop() {
	if a.connection != nil {
		a.connection.Close()
		a.connection = nil
	}
}

// send writes one message. A stream that the server has ended answers with io.EOF only: its status is what Recv then tells.
func send[Request, Response any](stream grpc.BidiStreamingClient[Request, Response], message *Request) error {
	err := stream.Send(message)
	if err != io.EOF {
		return err
	}
	if _, err := stream.Recv(); err != nil && err != io.EOF {
		return err
	}
	return fmt.Errorf("the stream ended before it was asked to")
}

// request makes a key and its CSR: with the URI of an identity, or bare as an agent asks for itself.
func request(id string) (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.CertificateRequest{Subject: pkix.Name{Country: []string{"US"}, Organization: []string{"SPIRE"}}}
	if id != "" {
		uri, err := url.Parse(id)
		if err != nil {
			return nil, nil, err
		}
		template.URIs = []*url.URL{uri}
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	return key, csr, err
}

// accept checks what was issued as an agent must before it uses it: chain, identity, key and life.
func (a *agent) accept(svid *types.X509SVID, key *ecdsa.PrivateKey) (*x509svid.SVID, error) {
	if svid == nil {
		return nil, fmt.Errorf("the answer has no SVID")
	}
	var chain []*x509.Certificate
	for _, der := range svid.CertChain {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		chain = append(chain, certificate)
	}
	id, _, err := x509svid.Verify(chain, a.bundle)
	if err != nil {
		return nil, err
	}
	if told := "spiffe://" + svid.GetId().GetTrustDomain() + svid.GetId().GetPath(); told != id.String() {
		return nil, fmt.Errorf("the message says %s, the certificate %s", told, id)
	}
	if !key.PublicKey.Equal(chain[0].PublicKey) {
		return nil, fmt.Errorf("the certificate is for another key")
	}
	if chain[0].NotAfter.Unix() != svid.ExpiresAt {
		return nil, fmt.Errorf("expires_at is %d, the certificate ends %d", svid.ExpiresAt, chain[0].NotAfter.Unix())
	}
	return &x509svid.SVID{ID: id, Certificates: chain, PrivateKey: key}, nil
}

func describeSVID(svid *x509svid.SVID) answer {
	leaf := svid.Certificates[0]
	return answer{
		"id":        svid.ID.String(),
		"serial":    leaf.SerialNumber.Text(16),
		"dnsNames":  append([]string{}, leaf.DNSNames...),
		"expiresAt": leaf.NotAfter.Unix(),
		"chain":     len(svid.Certificates),
	}
}
