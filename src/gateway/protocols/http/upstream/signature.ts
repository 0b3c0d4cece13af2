import aws4 from 'aws4';
import type { Field } from '../../../../wire/http1/index.ts';

/** What requests are signed with. @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html */
export interface Signer {
  readonly region: string;
  readonly service: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | undefined;
}

/** A request as it will be sent: its target strictly encoded, names of fields in lower case. */
export interface ToSign {
  readonly method: string;
  readonly target: string;
  readonly host: string;
  readonly fields: readonly Field[];
  /** SHA-256 of the body in hexadecimal, or the word that stands for a body nobody has hashed. */
  readonly payload: string;
  /** Since the epoch. */
  readonly nowMs: number;
}

/** All its fields with those that sign it, and the signature alone. Those that are signed and there twice become one, as the signature has them. */
export function signed(
  request: ToSign,
  signer: Signer,
): { readonly fields: readonly Field[]; readonly signature: string } {
  const { method, target, host, payload, nowMs } = request;
  const own: Record<string, string> = {
    'x-amz-date': new Date(nowMs).toISOString().replace(/[:-]|\.\d{3}/g, ''),
    'x-amz-content-sha256': payload,
    ...(signer.sessionToken === undefined ? {} : { 'x-amz-security-token': signer.sessionToken }),
  };
  const told = new Map<string, string>();
  const others: Field[] = [];
  for (const field of request.fields) {
    const { name, value } = field;
    if (Object.hasOwn(own, name) || name === 'authorization') continue;
    const before = told.get(name);
    if (isSigned(name)) told.set(name, before === undefined ? value : `${before},${value}`);
    else others.push(field);
  }
  for (const [name, value] of Object.entries(own)) told.set(name, value);
  const { region, service } = signer;
  // Without a body and with all that it would add, the library adds nothing.
  const work = new aws4.RequestSigner(
    { method, path: target, region, service, headers: { host, ...Object.fromEntries(told) } },
    {
      ...{ accessKeyId: signer.accessKeyId, secretAccessKey: signer.secretAccessKey },
      ...(signer.sessionToken === undefined ? {} : { sessionToken: signer.sessionToken }),
    },
  );
  work.prepareRequest();
  const authorization = work.authHeader();
  return {
    fields: [
      ...others,
      ...[...told].map(([name, value]) => ({ name, value })),
      { name: 'authorization', value: authorization },
    ],
    signature: authorization.slice(authorization.lastIndexOf('=') + 1),
  };
}

/** An answer says, in the one field that tells it without its body, that signer or signature are not taken. */
export function isSignatureRefused(status: number, fields: readonly Field[]): boolean {
  if (status !== 403 && status !== 400) return false;
  const type = fields.find(({ name }) => name === 'x-amzn-errortype')?.value.split(/[:#]/)[0];
  return type !== undefined && REFUSALS.has(type);
}

function isSigned(name: string): boolean {
  return name.startsWith('x-amz-') || name === 'content-type' || name === 'content-md5';
}

const REFUSALS: ReadonlySet<string> = new Set([
  ...['InvalidSignatureException', 'SignatureDoesNotMatch', 'IncompleteSignatureException', 'RequestExpired'],
  ...[
    'UnrecognizedClientException',
    'InvalidClientTokenId',
    'ExpiredTokenException',
    'MissingAuthenticationTokenException',
  ],
]);
