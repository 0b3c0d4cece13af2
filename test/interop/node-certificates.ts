/** Certificates of machines, as a company has them before it knows of us: a CA and leaves that x509pop takes as proof. */
import { execFileSync } from 'node:child_process';
import * as path from 'node:path';

export interface NodeCertificate {
  readonly certificate: string;
  readonly key: string;
}

/** Makes a CA in `directory`; its certificate lies in `<directory>/ca.pem`. Needs openssl. */
export function createNodeCa(directory: string): {
  caBundle: string;
  issue(name: string, key: KeyKind): NodeCertificate;
} {
  const file = (name: string) => path.join(directory, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
  openssl(
    'req',
    '-x509',
    ...KEYS.ec,
    '-nodes',
    '-keyout',
    file('ca.key'),
    '-out',
    file('ca.pem'),
    '-subj',
    '/CN=machines',
    '-days',
    '2',
  );
  return {
    caBundle: file('ca.pem'),
    issue(name, kind) {
      const [key, certificate] = [file(`${name}.key`), file(`${name}.pem`)];
      openssl(
        ...[
          'req',
          '-x509',
          ...KEYS[kind],
          '-nodes',
          '-keyout',
          key,
          '-out',
          certificate,
          '-subj',
          `/CN=${name}`,
          '-days',
          '1',
        ],
        ...['-CA', file('ca.pem'), '-CAkey', file('ca.key')],
        ...['-addext', 'basicConstraints=critical,CA:FALSE', '-addext', 'keyUsage=critical,digitalSignature'],
      );
      return { certificate, key };
    },
  };
}

type KeyKind = keyof typeof KEYS;

const KEYS = {
  ec: ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  rsa: ['-newkey', 'rsa:2048'],
} as const;
