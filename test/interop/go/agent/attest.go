package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"

	agentv1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/agent/v1"
	bundlev1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/bundle/v1"
	"github.com/spiffe/spire-api-sdk/proto/spire/api/types"
)

// attest proves the node to the server on a connection without a client certificate, and fetches the bundle on the same one.
func (a *agent) attest(ctx context.Context, next command) (answer, error) {
	connection, err := a.dial(nil)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	payload, respond, err := proof(next)
	if err != nil {
		return nil, err
	}
	key, csr, err := request("")
	if err != nil {
		return nil, err
	}
	stream, err := agentv1.NewAgentClient(connection).AttestAgent(ctx)
	if err != nil {
		return nil, err
	}
	params := &agentv1.AttestAgentRequest_Params{
		Data:   &types.AttestationData{Type: next.Type, Payload: payload},
		Params: &agentv1.AgentX509SVIDParams{Csr: csr},
	}
	err = send(stream, &agentv1.AttestAgentRequest{Step: &agentv1.AttestAgentRequest_Params_{Params: params}})
	if err != nil {
		return nil, err
	}
	challenges := 0
	for {
		message, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		if challenge := message.GetChallenge(); challenge != nil {
			challenges++
			response, err := respond(challenge)
			if err != nil {
				return nil, err
			}
			step := &agentv1.AttestAgentRequest_ChallengeResponse{ChallengeResponse: response}
			if err := send(stream, &agentv1.AttestAgentRequest{Step: step}); err != nil {
				return nil, err
			}
			continue
		}
		if err := stream.CloseSend(); err != nil {
			return nil, err
		}
		bundle, err := bundlev1.NewBundleClient(connection).GetBundle(ctx, &bundlev1.GetBundleRequest{})
		if err != nil {
			return nil, err
		}
		if err := a.trust(bundle); err != nil {
			return nil, err
		}
		result := message.GetResult()
		svid, err := a.accept(result.GetSvid(), key)
		if err != nil {
			return nil, err
		}
		a.drop()
		a.svid = svid
		out := describeSVID(svid)
		out["reattestable"] = result.Reattestable
		out["challenges"] = challenges
		return out, nil
	}
}

// renew asks for a new SVID with a new key, and connects anew with it.
func (a *agent) renew(ctx context.Context) (answer, error) {
	link, err := a.link()
	if err != nil {
		return nil, err
	}
	key, csr, err := request("")
	if err != nil {
		return nil, err
	}
	params := &agentv1.AgentX509SVIDParams{Csr: csr}
	response, err := agentv1.NewAgentClient(link).RenewAgent(ctx, &agentv1.RenewAgentRequest{Params: params})
	if err != nil {
		return nil, err
	}
	svid, err := a.accept(response.Svid, key)
	if err != nil {
		return nil, err
	}
	a.drop()
	a.svid = svid
	return describeSVID(svid), nil
}

func (a *agent) postStatus(ctx context.Context, version string) (answer, error) {
	link, err := a.link()
	if err != nil {
		return nil, err
	}
	_, err = agentv1.NewAgentClient(link).PostStatus(ctx, &agentv1.PostStatusRequest{AgentVersion: version})
	return answer{}, err
}

// proof is the payload of an attestor and its answer to a challenge.
func proof(next command) ([]byte, func([]byte) ([]byte, error), error) {
	if next.Type != "x509pop" {
		refuse := func([]byte) ([]byte, error) { return nil, fmt.Errorf("%s knows no challenge", next.Type) }
		return []byte(next.Token), refuse, nil
	}
	chain, err := blocks(next.Certificate)
	if err != nil {
		return nil, nil, err
	}
	keys, err := blocks(next.Key)
	if err != nil {
		return nil, nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(keys[0])
	if err != nil {
		return nil, nil, err
	}
	payload, err := json.Marshal(map[string][][]byte{"certificates": chain})
	return payload, func(challenge []byte) ([]byte, error) { return respond(key, challenge) }, err
}

type nonce struct {
	Nonce []byte `json:"nonce"`
}

type signed struct {
	Nonce     []byte `json:"nonce"`
	Signature []byte `json:"signature,omitempty"`
	R         []byte `json:"r,omitempty"`
	S         []byte `json:"s,omitempty"`
}

// respond signs the server's nonce together with one of its own.
func respond(key any, challenge []byte) ([]byte, error) {
	var asked struct {
		RSA   *nonce `json:"rsa_signature"`
		ECDSA *nonce `json:"ecdsa_signature"`
	}
	if err := json.Unmarshal(challenge, &asked); err != nil {
		return nil, err
	}
	own := make([]byte, 32)
	if _, err := rand.Read(own); err != nil {
		return nil, err
	}
	digest := func(theirs []byte) []byte {
		sum := sha256.Sum256(append(append([]byte{}, theirs...), own...))
		return sum[:]
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if asked.RSA == nil {
			return nil, fmt.Errorf("an RSA key was given another challenge")
		}
		signature, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest(asked.RSA.Nonce), nil)
		if err != nil {
			return nil, err
		}
		return json.Marshal(map[string]signed{"rsa_signature": {Nonce: own, Signature: signature}})
	case *ecdsa.PrivateKey:
		if asked.ECDSA == nil {
			return nil, fmt.Errorf("an ECDSA key was given another challenge")
		}
		r, s, err := ecdsa.Sign(rand.Reader, key, digest(asked.ECDSA.Nonce))
		if err != nil {
			return nil, err
		}
		return json.Marshal(map[string]signed{"ecdsa_signature": {Nonce: own, R: r.Bytes(), S: s.Bytes()}})
	default:
		return nil, fmt.Errorf("a key of type %T can not sign", key)
	}
}

// blocks are the contents of a PEM file; at least one.
func blocks(file string) ([][]byte, error) {
	rest, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for {
		block, after := pem.Decode(rest)
		if block == nil {
			break
		}
		out = append(out, block.Bytes)
		rest = after
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s has no PEM block", file)
	}
	return out, nil
}
