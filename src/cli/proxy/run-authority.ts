import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Clock, Random } from '../../std/index.ts';
import {
  type CertificateIssuer,
  encodeName,
  encodePem,
  fixedWidthSerial,
  isDnsName,
  keyIdOf,
  signWith,
  writeServerCertificate,
  writeServerRoot,
} from '../../wire/x509/index.ts';

/** Vouches for the hosts of targets to one command. Its keys are in the memory of this process, and nowhere else. */
export interface RunAuthority {
  readonly rootDer: Buffer;
  /** To end TLS of that host, which is one of its own. */
  contextFor(host: string): SecureContext;
}

/** Creates one with a key of its own; undefined where no host is a name. Addresses are left out: their clients come without TLS. */
export function createRunAuthority(deps: {
  readonly hosts: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
}): RunAuthority | undefined {
  const { clock, random } = deps;
  const hosts = deps.hosts.filter((host) => isDnsName(host) && !ADDRESS.test(host));
  if (hosts.length === 0) return undefined;
  const key = newKey();
  const issuer: CertificateIssuer = {
    // Two runs have two names: some clients look for an issuer by its name alone.
    subjectDer: encodeName({ organization: 'Countersign run', serialNumber: random.bytes(8).toString('hex') }),
    subjectKeyId: keyIdOf(spkiOf(key)),
    algorithm: 'ecdsa-sha256',
    sign: (data) => signWith('ecdsa-sha256', key, data),
  };
  const fields = (of: KeyObject, { earlierS, lifeS }: { readonly earlierS: number; readonly lifeS: number }) => {
    const nowS = Math.floor(clock.now() / 1_000);
    const serial = fixedWidthSerial(random.bytes(16));
    return { serial, notBeforeS: nowS - earlierS, notAfterS: nowS + lifeS, spkiDer: spkiOf(of) };
  };
  const rootDer = writeServerRoot(issuer, fields(key, { earlierS: ROOT_EARLIER_S, lifeS: ROOT_LIFE_S }), hosts);
  const made = new Map<string, { readonly context: SecureContext; readonly atMs: number }>();
  return {
    rootDer,
    contextFor(host) {
      const known = made.get(host);
      // By the clock that clients have: a machine that slept, or whose clock was set, needs another.
      const ageMs = clock.now() - (known?.atMs ?? 0);
      if (known !== undefined && ageMs >= -SET_BACK_MS && ageMs < RENEW_MS) return known.context;
      const leafKey = newKey();
      const leafDer = writeServerCertificate(
        issuer,
        fields(leafKey, { earlierS: EARLIER_S, lifeS: LEAF_LIFE_S }),
        host,
      );
      const context = createSecureContext({
        key: leafKey.export({ type: 'pkcs8', format: 'pem' }),
        cert: encodePem('CERTIFICATE', leafDer),
        minVersion: 'TLSv1.2',
      });
      made.set(host, { context, atMs: clock.now() }); // One for each of the hosts at most.
      return context;
    },
  };
}

function newKey(): KeyObject {
  const { privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    ...{ publicKeyEncoding: { type: 'spki', format: 'der' }, privateKeyEncoding: { type: 'pkcs8', format: 'der' } },
  });
  return createPrivateKey({ key: privateKey, type: 'pkcs8', format: 'der' });
}

function spkiOf(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: 'spki', format: 'der' });
}

/** Four numbers are a name of DNS by their letters. */
const ADDRESS = /^[0-9.]+$/;
/** For clients whose clock is a little behind, as in a virtual machine. */
const EARLIER_S = 300;
/** A clock that is set back while the command runs must not be before its root, which is made once. */
const ROOT_EARLIER_S = 30 * 86_400;
/** A command reads the root once, and may be a service; it ends with the memory that has its key, which is mostly much earlier. */
const ROOT_LIFE_S = 365 * 86_400;
const LEAF_LIFE_S = 12 * 3_600;
/** A clock that is set back further would be before the certificate, for a client that is a little behind. */
const SET_BACK_MS = EARLIER_S * 500;
const RENEW_MS = 6 * 3_600_000;
