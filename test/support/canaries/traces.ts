/** What a secret looks like when its value is not known beforehand: private keys and signed tokens. */
import type { Form } from './forms.ts';

export interface Trace {
  readonly name: string;
  readonly forms: readonly Form[];
  /** Whether what begins there is one; gets up to {@link TRACE_BYTES_MAX} bytes. */
  confirm(begin: string): boolean;
}

/** Private keys as PEM, PKCS #8 and JWK; signed JWTs. */
export function secretTraces(): readonly Trace[] {
  const pkcs8 = PKCS8_PREFIXES.map((hex) => Buffer.from(hex, 'hex'));
  return [
    {
      name: 'private key',
      forms: [{ name: 'PEM', bytes: Buffer.from('PRIVATE KEY-----') }],
      // The line break may be escaped, or gone.
      confirm: (begin) => /^PRIVATE KEY-----(?:\\*[rn]|\s)*[A-Za-z0-9+/]{20}/.test(begin),
    },
    {
      name: 'private key',
      forms: pkcs8.flatMap((bytes) => [
        { name: 'PKCS #8', bytes },
        { name: 'PKCS #8 in hex', bytes: Buffer.from(bytes.toString('hex')) },
        { name: 'PKCS #8 as numbers', bytes: Buffer.from([...bytes].join(',')) },
        // Cut to whole groups of three bytes.
        {
          name: 'PKCS #8 in base64',
          bytes: Buffer.from(bytes.subarray(0, bytes.length - (bytes.length % 3)).toString('base64')),
        },
      ]),
      confirm: () => true,
    },
    {
      name: 'private key',
      forms: [{ name: 'JWK', bytes: Buffer.from('"kty":"') }],
      confirm: (begin) => /^[^{}]*"d":"[\w-]{20}/.test(begin),
    },
    {
      name: 'signed token',
      forms: [{ name: 'JWT', bytes: Buffer.from('eyJhbGciOi') }],
      confirm: (begin) => /^eyJhbGciOi[\w-]{5,}\.eyJ[\w-]{10,}\.[\w-]{20}/.test(begin),
    },
  ];
}

/** The longest beginning that is looked at. */
export const TRACE_BYTES_MAX = 1024;
/** Version, algorithm and the beginning of the key, after the outer length: P-256, P-384, Ed25519. */
const PKCS8_PREFIXES = [
  '308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420',
  '3081b6020100301006072a8648ce3d020106052b8104002204819e30819b0201010430',
  '302e020100300506032b657004220420',
];
