import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeCertificatesPem, parseCertificate, verifyChain, X509Error } from '../index.ts';

// Path validation against a sample of the x509-limbo vectors (C2SP, Apache-2.0). Peer names are not part of path validation here: a
// SPIFFE verifier goes by the URI. Each vector that we answer otherwise is listed below with its reason; the table must be exact.

interface Vector {
  readonly id: string;
  readonly expected_result: 'SUCCESS' | 'FAILURE';
  readonly validation_kind: 'SERVER' | 'CLIENT';
  readonly trusted_certs: readonly string[];
  readonly untrusted_intermediates: readonly string[];
  readonly peer_certificate: string;
  readonly validation_time: string | null;
  readonly max_chain_depth: number | null;
}

describe('path validation', () => {
  // The file is ours and this is its shape.
  const file = JSON.parse(readFileSync(new URL('../testdata/limbo-sample.json', import.meta.url), 'utf8')) as {
    testcases: readonly Vector[];
  };

  for (const vector of file.testcases) {
    it(`answers ${vector.id} as expected, or diverges for a stated reason`, () => {
      const divergence = DIVERGENCES[vector.id];
      const outcome = judge(vector);
      expect(outcome.ok ? 'SUCCESS' : 'FAILURE', outcome.reason).toBe(
        divergence ? (vector.expected_result === 'SUCCESS' ? 'FAILURE' : 'SUCCESS') : vector.expected_result,
      );
    });
  }

  it('lists no divergence that is not in the sample', () => {
    const ids = new Set(file.testcases.map((vector) => vector.id));
    expect(Object.keys(DIVERGENCES).filter((id) => !ids.has(id))).toEqual([]);
  });
});

function judge(vector: Vector): { ok: boolean; reason: string } {
  try {
    const parse = (pem: string) => decodeCertificatesPem(pem).map(parseCertificate);
    const [leaf] = parse(vector.peer_certificate);
    if (!leaf) return { ok: false, reason: 'no certificate' };
    const result = verifyChain({
      leaf,
      intermediates: vector.untrusted_intermediates.flatMap(parse),
      roots: vector.trusted_certs.flatMap(parse),
      nowMs: Date.parse(vector.validation_time ?? SAMPLE_TIME),
      usage: vector.validation_kind === 'SERVER' ? 'server-auth' : 'client-auth',
      ...(vector.max_chain_depth === null ? {} : { intermediatesMax: vector.max_chain_depth }),
    });
    return { ok: result.ok, reason: result.ok ? 'ok' : result.reason };
  } catch (error) {
    if (error instanceof X509Error) return { ok: false, reason: `${error.code}: ${error.message}` };
    throw error;
  }
}

const NAMES = 'peer names are matched by the caller, not by path validation';

/** Vector id → why our answer is the other one. */
const DIVERGENCES: Readonly<Record<string, string>> = {
  'rfc5280::aki::cross-signed-root-missing-aki':
    'a trust anchor that is not self-signed may lack the key id (cve-2024-0567 needs just that)',
  'webpki::aki::root-with-aki-authoritycertissuer': 'a rule of the web PKI only; RFC 5280 §4.2.1.1 allows it',
  'webpki::aki::root-with-aki-authoritycertserialnumber': 'a rule of the web PKI only; RFC 5280 §4.2.1.1 allows it',
  'webpki::eku::ee-critical-eku': 'a rule of the web PKI only; RFC 5280 §4.2.1.12 allows a critical extension',
  'webpki::cn::ipv4-hex-mismatch': NAMES,
  'webpki::cn::ipv4-leading-zeros-mismatch': NAMES,
  'webpki::cn::ipv6-non-rfc5952-mismatch': NAMES,
  'webpki::cn::punycode-not-in-san': NAMES,
  'webpki::cn::not-in-san': NAMES,
  'webpki::san::mismatch-subdomain-san': NAMES,
  'webpki::san::mismatch-subdomain-apex-san': NAMES,
  'webpki::san::mismatch-apex-subdomain-san': NAMES,
  'webpki::san::public-suffix-multi-label-wildcard-san': NAMES,
  'webpki::san::public-suffix-private-namespace-wildcard-san': NAMES,
  'webpki::san::wildcard-match-across-labels-san': NAMES,
  'webpki::san::no-san': NAMES,
};

/** Vectors without a time are to be judged at the time they were made; any time within their long validity will do. */
const SAMPLE_TIME = '2024-06-01T00:00:00Z';
