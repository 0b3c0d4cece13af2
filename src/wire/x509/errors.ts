import { CodedError, type ErrorEntry, type ErrorTable } from '../../std/index.ts';

/** What the X.509 codecs refuse. */
export const errorTable = {
  ERR_DER: {
    status: 400,
    exit: 'usage',
    meaning: 'The bytes are not strict DER, or exceed a limit of the reader.',
    remedy: 'Encode the object again with a tool that writes DER; BER forms are refused.',
  },
  ERR_PEM: {
    status: 400,
    exit: 'usage',
    meaning: 'The text is not PEM of the expected label.',
    remedy: 'Give the file that holds the BEGIN and END lines of the named kind, without private keys around them.',
  },
  ERR_CERTIFICATE: {
    status: 400,
    exit: 'usage',
    meaning: 'The certificate does not follow RFC 5280.',
    remedy: 'Issue the certificate again; the message names the field.',
  },
  ERR_CSR: {
    status: 400,
    exit: 'usage',
    meaning: 'The certificate request is malformed or its signature does not prove possession of the key.',
    remedy: 'Make the request again with the private key that it asks a certificate for.',
  },
  ERR_CRL: {
    status: 400,
    exit: 'config',
    meaning: 'A certificate revocation list can not be read, or says something that is not understood.',
    remedy: 'Give a complete CRL as the CA publishes it, no delta CRL and none of a part of its certificates.',
  },
  ERR_PUBLIC_KEY: {
    status: 400,
    exit: 'usage',
    meaning: 'The public key is malformed, too weak, or of a kind that is not allowed.',
    remedy: 'Use an EC key on P-256 or P-384, or an RSA key of 2048 to 8192 bits.',
  },
  ERR_CERTIFICATE_WRITE: {
    status: 500,
    exit: 'internal',
    meaning: 'A certificate was asked for that can not be written.',
    remedy: 'The message names the field; correct the identity or the issuer it came from.',
  },
} as const satisfies ErrorTable;

/** A failure of the X.509 codecs. */
export class X509Error extends CodedError<keyof typeof errorTable> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
