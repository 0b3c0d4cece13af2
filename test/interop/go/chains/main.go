// Command chains says whether crypto/x509 takes a chain: exit code 0, or the reason and 1. Arguments: PEM file of the roots, PEM file of
// the leaf and its intermediates.
package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
)

func main() {
	roots := x509.NewCertPool()
	for _, certificate := range read(os.Args[1]) {
		roots.AddCert(certificate)
	}
	shown := read(os.Args[2])
	if len(shown) == 0 {
		fail("the leaf can not be read")
	}
	intermediates := x509.NewCertPool()
	for _, certificate := range shown[1:] {
		intermediates.AddCert(certificate)
	}
	_, err := shown[0].Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: intermediates,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		fail(err.Error())
	}
}

func read(path string) []*x509.Certificate {
	rest, err := os.ReadFile(path)
	if err != nil {
		fail(err.Error())
	}
	var certificates []*x509.Certificate
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return certificates
		}
		if certificate, err := x509.ParseCertificate(block.Bytes); err == nil {
			certificates = append(certificates, certificate)
		} else {
			fmt.Println(err)
		}
	}
}

func fail(reason string) {
	fmt.Println(reason)
	os.Exit(1)
}
