import { join } from 'node:path';
import { parseSpiffeId, type SpiffeId, type TrustDomain } from '@countersign/sdk/identity';
import type { Bundle } from '../../model/index.ts';
import { removePrivateFile } from '../../private-files/index.ts';
import type { Random } from '../../std/index.ts';
import { type BundleJson, bundleFromJson, bundleToJson } from '../bundle-json.ts';
import { readSealed, type Sealer, writeSealed } from '../sealed-json.ts';

/** The node's own X.509-SVID with its key. */
export interface NodeIdentity {
  readonly id: SpiffeId;
  /** Leaf first, roots left out. */
  readonly chainDer: readonly Buffer[];
  /** PKCS#8. */
  readonly keyDer: Buffer;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  readonly reattestable: boolean;
}

/** What a node must not lose: who it is, and what proves its server. */
export interface NodeState {
  readonly identity: NodeIdentity | undefined;
  readonly bundle: Bundle | undefined;
  /** Digest of the bootstrap setting that `bundle` goes back to: another setting means that an operator wants a new start. */
  readonly bootstrapDigest: string;
}

/** Reads and replaces the sealed file that holds a {@link NodeState}. */
export interface NodeStateFile {
  /** Undefined when there is none. @throws AgentError ERR_AGENT_STATE, PrivateFileError */
  read(): Promise<NodeState | undefined>;
  write(state: NodeState): Promise<void>;
  remove(): Promise<void>;
}

export function createNodeStateFile(deps: {
  dataDir: string;
  trustDomain: TrustDomain;
  sealer: Sealer;
  random: Random;
}): NodeStateFile {
  const path = join(deps.dataDir, FILE);
  const context = `countersign agent node state v1 ${deps.trustDomain}`;
  return {
    async read() {
      const json = await readSealed<StateJson>({ path, context, sealer: deps.sealer });
      return json && fromJson(json);
    },
    write: (state) => writeSealed({ path, context, sealer: deps.sealer, random: deps.random, value: toJson(state) }),
    remove: () => removePrivateFile(path),
  };
}

interface StateJson {
  readonly identity?: {
    readonly id: string;
    readonly chain: readonly string[];
    readonly key: string;
    readonly issuedAtMs: number;
    readonly expiresAtMs: number;
    readonly reattestable: boolean;
  };
  readonly bundle?: BundleJson;
  readonly bootstrapDigest: string;
}

function toJson({ identity, bundle, bootstrapDigest }: NodeState): StateJson {
  return {
    bootstrapDigest,
    ...(bundle && { bundle: bundleToJson(bundle) }),
    ...(identity && {
      identity: {
        id: identity.id.uri,
        chain: identity.chainDer.map((der) => der.toString('base64')),
        key: identity.keyDer.toString('base64'),
        issuedAtMs: identity.issuedAtMs,
        expiresAtMs: identity.expiresAtMs,
        reattestable: identity.reattestable,
      },
    }),
  };
}

function fromJson({ identity, bundle, bootstrapDigest }: StateJson): NodeState {
  return {
    bootstrapDigest,
    bundle: bundle && bundleFromJson(bundle),
    identity: identity && {
      id: parseSpiffeId(identity.id),
      chainDer: identity.chain.map((text) => Buffer.from(text, 'base64')),
      keyDer: Buffer.from(identity.key, 'base64'),
      issuedAtMs: identity.issuedAtMs,
      expiresAtMs: identity.expiresAtMs,
      reattestable: identity.reattestable,
    },
  };
}

const FILE = 'node.sealed';
