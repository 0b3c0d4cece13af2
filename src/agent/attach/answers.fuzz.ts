import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { BundleSchema } from '@countersign/sdk/contract/gen/spire/api/types/bundle_pb.ts';
import { EntrySchema } from '@countersign/sdk/contract/gen/spire/api/types/entry_pb.ts';
import { X509SVIDSchema } from '@countersign/sdk/contract/gen/spire/api/types/x509svid_pb.ts';
import { formatSpiffeId, parseSpiffeId } from '@countersign/sdk/identity';
import { AgentError } from '../errors.ts';
import { checkSvid } from './check-svid.ts';
import { toBundle, toEntry } from './from-contract.ts';

/** What a server, or who passes for it, may answer an agent that syncs: the first byte says which message the rest is. */
export function fuzz(input: Uint8Array): void {
  const body = input.subarray(1);
  switch ((input[0] ?? 0) % 3) {
    case 0:
      read(EntrySchema, body, (message) => {
        const entry = toEntry(message);
        if (entry.selectors.length === 0) throw new Error('an entry that fits every process');
        if (formatSpiffeId(parseSpiffeId(entry.spiffeId.uri)) !== entry.spiffeId.uri) throw new Error('no SPIFFE ID');
      });
      break;
    case 1:
      read(BundleSchema, body, (message) => {
        const bundle = toBundle(message);
        if (bundle.x509Authorities.length !== message.x509Authorities.length) throw new Error('authorities were lost');
      });
      break;
    default:
      read(X509SVIDSchema, body, (message) => {
        checkSvid(message, { keySpkiDer: Buffer.from('a key'), nowMs: 0 });
        throw new Error('an SVID for a key that was never sent');
      });
  }
}

function read<Schema extends DescMessage>(
  schema: Schema,
  body: Uint8Array,
  use: (message: MessageShape<Schema>) => void,
): void {
  let message: MessageShape<Schema>;
  try {
    message = fromBinary(schema, body);
  } catch {
    return; // Not protobuf: the call ends before anyone looks.
  }
  try {
    use(message);
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
  }
}

const id = { trustDomain: 'example.org', path: '/web' };
const seed = (first: number, bytes: Uint8Array) => Buffer.concat([Buffer.from([first]), bytes]);

export const seeds: readonly Uint8Array[] = [
  seed(
    0,
    toBinary(
      EntrySchema,
      create(EntrySchema, {
        id: 'e',
        spiffeId: id,
        parentId: { ...id, path: '/spire/agent/x' },
        selectors: [{ type: 'unix', value: 'uid:1' }],
        federatesWith: ['other.org'],
        hint: 'h',
        createdAt: 5n,
        revisionNumber: -1n,
        additionalAttributes: { jwtSvidIncludeJti: true },
      }),
    ),
  ),
  seed(
    1,
    toBinary(
      BundleSchema,
      create(BundleSchema, {
        trustDomain: 'example.org',
        x509Authorities: [{ asn1: Buffer.from('3000', 'hex'), tainted: true }],
        jwtAuthorities: [{ keyId: 'k', publicKey: Buffer.from('3000', 'hex'), expiresAt: 1n }],
        sequenceNumber: 2n ** 63n - 1n,
        refreshHint: 1n,
      }),
    ),
  ),
  seed(
    2,
    toBinary(X509SVIDSchema, create(X509SVIDSchema, { id, certChain: [Buffer.from('3082', 'hex')], expiresAt: 1n })),
  ),
];

export const tokens = ['example.org', '/web', '/../', 'unix', ':', '\u000b', '\u0012\u0000'];
