import * as peculiar from '@peculiar/x509';
import type { Wish } from './fixture.ts';
import { identity } from './fixture.ts';

/** The same work by @peculiar/x509: read the request, verify it, write the same extensions, sign. */
export async function createPeculiarIssuer(asked: readonly Wish[]): Promise<(turn: number) => Promise<ArrayBuffer>> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await crypto.subtle.generateKey(algorithm, false, ['sign', 'verify']);
  const ca = await peculiar.X509CertificateGenerator.createSelfSigned({
    ...{ keys, name: 'C=US, O=SPIFFE', signingAlgorithm: algorithm },
    extensions: [new peculiar.BasicConstraintsExtension(true, undefined, true)],
  });
  const authorityKeyId = await peculiar.AuthorityKeyIdentifierExtension.create(ca);
  return async (turn) => {
    const request = new peculiar.Pkcs10CertificateRequest(asked[turn % asked.length]?.csr ?? Buffer.alloc(0));
    if (!(await request.verify())) throw new Error('the request does not verify');
    const serial = Buffer.from(crypto.getRandomValues(new Uint8Array(16)));
    const certificate = await peculiar.X509CertificateGenerator.create({
      serialNumber: serial.toString('hex'),
      ...{ subject: 'C=US, O=SPIRE', issuer: ca.subject, publicKey: request.publicKey },
      ...{ notBefore: new Date(), notAfter: new Date(Date.now() + 3_600_000) },
      ...{ signingKey: keys.privateKey, signingAlgorithm: algorithm },
      extensions: [
        new peculiar.KeyUsagesExtension(USAGES, true),
        new peculiar.ExtendedKeyUsageExtension([
          peculiar.ExtendedKeyUsage.serverAuth,
          peculiar.ExtendedKeyUsage.clientAuth,
        ]),
        new peculiar.BasicConstraintsExtension(false, undefined, true),
        await peculiar.SubjectKeyIdentifierExtension.create(request.publicKey),
        authorityKeyId,
        new peculiar.SubjectAlternativeNameExtension([{ type: 'url', value: identity.uri }]),
      ],
    });
    return certificate.rawData;
  };
}

const USAGES =
  peculiar.KeyUsageFlags.digitalSignature |
  peculiar.KeyUsageFlags.keyEncipherment |
  peculiar.KeyUsageFlags.keyAgreement;
