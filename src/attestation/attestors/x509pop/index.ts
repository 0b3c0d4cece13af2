/** Proves a node by a certificate that it has already, and by signing a challenge with its key. */
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import type { AttestorMember } from '../../attestor.ts';
import { AttestationError } from '../../errors.ts';
import { proveNode } from './prove-node.ts';
import { openTrust } from './trust.ts';
import { verifyNode } from './verify-node.ts';

const config = Type.Object(
  {
    caBundle: Type.Optional(
      Type.String({ description: 'Servers: PEM file of the CAs whose certificates are accepted.' }),
    ),
    crls: Type.Optional(
      Type.String({
        description:
          'Servers: file of the CRLs of all CAs on the paths, PEM, or one in DER. With it a certificate needs a current CRL by its issuer; without it no revocation is looked at.',
      }),
    ),
    certificate: Type.Optional(
      Type.String({ description: 'Agents: PEM file of the certificate, followed by its intermediates.' }),
    ),
    key: Type.Optional(
      Type.String({ description: 'Agents: PEM file of the private key, closed to all others (0600).' }),
    ),
  },
  { additionalProperties: false },
);
type Settings = Static<typeof config>;

export const member = {
  kind: 'attestor',
  id: 'x509pop',
  type: 'x509pop',
  summary: 'A certificate of a CA that the server trusts for this, and proof that the node has its key.',
  config,
  node: {
    async prove(given, deps) {
      const { certificate, key } = settings(given);
      return proveNode({ certificate: required(certificate, 'certificate'), key: required(key, 'key') }, deps);
    },
    async openVerifier(given, deps) {
      const { caBundle, crls } = settings(given);
      const trust = openTrust({ caBundle: required(caBundle, 'caBundle'), crls }, deps);
      return { verify: async (payload, challenge) => verifyNode(payload, challenge, { trust: trust(), deps }) };
    },
  },
} as const satisfies AttestorMember;

function settings(given: unknown): Settings {
  const value = given ?? {};
  if (!Value.Check(config, value))
    throw new AttestationError('ERR_ATTEST_CONFIG', 'the settings of the x509pop attestor do not fit its schema');
  return value;
}

function required(value: string | undefined, name: string): string {
  if (value === undefined) throw new AttestationError('ERR_ATTEST_CONFIG', `the x509pop attestor needs ${name}`);
  return value;
}
