import { generateKeyPairSync } from 'node:crypto';
import type { X509SVID } from '@countersign/sdk/contract/gen/spire/api/types/x509svid_pb.ts';
import type { NodeAttestor } from '../../attestation/index.ts';
import type { Bundle, X509Authority } from '../../model/index.ts';
import { readGivenSecret } from '../../private-files/index.ts';
import { Code, RpcError } from '../../rpc/index.ts';
import { type Clock, type Log, messageOf, type Random, sha256 } from '../../std/index.ts';
import { buildCertificateRequest, decodeCertificatesPem } from '../../wire/x509/index.ts';
import { createBackoff, halfLifeMs } from '../backoff.ts';
import { sameBundle } from '../cache/bundles.ts';
import type { AgentConfig } from '../config.ts';
import { AgentError } from '../errors.ts';
import { checkSvid } from './check-svid.ts';
import type { NodeIdentity, NodeStateFile } from './node-state.ts';
import { judgeRefusal } from './refusal.ts';
import type { ServerLink } from './server-link.ts';

/** The node's own identity: gained by attestation, kept sealed on disk, renewed in time. */
export interface Attachment {
  /** Reads what was kept. @throws AgentError ERR_AGENT_STATE, PrivateFileError */
  open(): Promise<void>;
  /** The identity while it is valid. */
  identity(): NodeIdentity | undefined;
  /** When the identity was issued and ends, be it over or not. */
  life(): { readonly issuedMs: number; readonly expiresMs: number } | undefined;
  /** What the server must chain to; undefined = first use. */
  trusted(): readonly X509Authority[] | undefined;
  bundle(): Bundle | undefined;
  /** Attests when there is no identity, renews when it is time. A failed renewal only counts once the identity has expired. */
  ensure(signal: AbortSignal): Promise<void>;
  /** Epoch ms of the next renewal. */
  renewAtMs(): number;
  /** Keeps the newest bundle of the own trust domain. */
  acceptBundle(bundle: Bundle): Promise<void>;
  /**
   * The server no longer accepts this identity: proves the node again when its attestor can.
   * @throws AgentError ERR_AGENT_DENIED when it can't
   */
  expel(): Promise<void>;
  /** Forgets the identity, on disk too. */
  forget(): Promise<void>;
}

interface Deps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly config: Pick<AgentConfig, 'bootstrap'>;
  readonly link: ServerLink;
  readonly file: NodeStateFile;
  readonly attestor: { readonly type: string; readonly node: NodeAttestor; readonly config: unknown };
}

export function createAttachment(deps: Deps): Attachment {
  const { clock, random, log, attestor } = deps;
  const bootstrap = openBootstrap(deps.config.bootstrap);
  const renewBackoff = createBackoff(random, { firstMs: RENEW_RETRY_FIRST_MS, maxMs: RENEW_RETRY_MAX_MS });
  let identity: NodeIdentity | undefined;
  let bundle: Bundle | undefined;
  let renewAtMs = 0;

  const save = () => deps.file.write({ identity, bundle, bootstrapDigest: bootstrap.digest });
  const valid = () => (identity !== undefined && clock.now() < identity.expiresAtMs ? identity : undefined);
  const prover = createProver(deps);
  const take = async (proven: Proven) => {
    identity = proven.identity;
    bundle = proven.bundle ?? bundle;
    renewAtMs = halfLifeMs(random, identity.issuedAtMs, identity.expiresAtMs);
    renewBackoff.reset();
    await save();
    deps.link.reconnect(); // The server takes a node's old serial as gone once the new one was used.
  };

  return {
    async open() {
      const state = await deps.file.read();
      if (!state) return;
      if (state.bootstrapDigest === bootstrap.digest) {
        bundle = state.bundle;
      } else {
        log.warn('agent.bootstrap.changed', { effect: 'the pinned bundle is dropped for the configured one' });
      }
      identity = state.identity;
      if (identity) renewAtMs = halfLifeMs(random, identity.issuedAtMs, identity.expiresAtMs);
    },
    identity: valid,
    life: () => identity && { issuedMs: identity.issuedAtMs, expiresMs: identity.expiresAtMs },
    trusted: () => bundle?.x509Authorities ?? bootstrap.authorities,
    bundle: () => bundle,
    async ensure(signal) {
      const current = valid();
      if (!current) return take(await prover.attest(signal));
      if (clock.now() < renewAtMs) return;
      try {
        await take(await prover.renew(current, signal));
      } catch (error) {
        // Still valid: the node works on, and tries again soon. A ban or eviction shows in the calls that follow.
        if (signal.aborted || judgeRefusal(error) !== 'retry' || !valid()) throw error;
        renewAtMs = clock.now() + renewBackoff.nextMs();
        log.warn('agent.node.renewal_failed', { problem: messageOf(error), expiresAtMs: current.expiresAtMs });
      }
    },
    renewAtMs: () => renewAtMs,
    async acceptBundle(next) {
      const same = bundle !== undefined && sameBundle(bundle, next);
      bundle = next;
      if (!same) await save();
    },
    async expel() {
      const reattestable = identity?.reattestable === true;
      identity = undefined;
      await save();
      if (reattestable) return;
      throw new AgentError(
        'ERR_AGENT_DENIED',
        `the server no longer accepts this node, and its ${attestor.type} proof can not be given twice: ` +
          'attest it anew (for join tokens: make a new token), then start the agent again',
      );
    },
    async forget() {
      identity = undefined;
      await deps.file.remove();
    },
  };
}

/** What proving the node brought: the bundle comes with an attestation only. */
interface Proven {
  readonly identity: NodeIdentity;
  readonly bundle: Bundle | undefined;
}

/** Asks the server for the node's SVID, each time for a new key. */
function createProver(deps: Deps) {
  const { clock, random, log, attestor } = deps;
  const toIdentity = (svid: X509SVID, key: NodeKey, reattestable: boolean): NodeIdentity => {
    const checked = checkSvid(svid, { keySpkiDer: key.spkiDer, nowMs: clock.now() });
    return { ...checked, keyDer: key.keyDer, issuedAtMs: clock.now(), reattestable };
  };
  const attest = async (signal: AbortSignal): Promise<Proven> => {
    const key = newKey();
    const proof = await attestor.node.prove(attestor.config, { random, readSecret });
    const request = { type: attestor.type, proof, csrDer: key.csrDer };
    const { svid, reattestable, bundle } = await deps.link.attest(request, signal).catch(refusalOf);
    const identity = toIdentity(svid, key, reattestable);
    log.info('agent.node.attested', { id: identity.id.uri, reattestable });
    return { identity, bundle };
  };
  return {
    attest,
    async renew(current: NodeIdentity, signal: AbortSignal): Promise<Proven> {
      if (current.reattestable) return attest(signal);
      const key = newKey();
      try {
        const identity = toIdentity(await deps.link.renew(key.csrDer, signal), key, false);
        log.info('agent.node.renewed', { id: identity.id.uri });
        return { identity, bundle: undefined };
      } catch (error) {
        // The server may have learned meanwhile that this node's proof can be repeated; it then wants the proof.
        if (judgeRefusal(error) !== 'reattest') throw error;
        return attest(signal);
      }
    },
  };
}

/**
 * At attestation the bare code is about the node: nothing else can be meant. A ban says so in its details and is left as it is. A proof that
 * the server does not take is tried again: a new token in the file, or one that the server is yet to be told of, is taken.
 */
function refusalOf(error: unknown): never {
  if (error instanceof RpcError && error.code === Code.PERMISSION_DENIED && judgeRefusal(error) !== 'banned') {
    throw new AgentError('ERR_AGENT_DENIED', `the server denied this node's proof: ${error.message}`, { cause: error });
  }
  if (error instanceof RpcError && error.code === Code.INVALID_ARGUMENT) {
    throw new AgentError('ERR_AGENT_PROOF', `the server does not take this node's proof: ${error.message}`, {
      cause: error,
    });
  }
  throw error;
}

interface NodeKey {
  readonly keyDer: Buffer;
  readonly spkiDer: Buffer;
  readonly csrDer: Buffer;
}

/** What proves a node, such as a join token or a key, in a file that only this agent's user or root may read. */
function readSecret(reference: string) {
  return readGivenSecret(reference, { env: process.env, bytesMax: PROOF_BYTES_MAX });
}

function newKey(): NodeKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spkiDer = publicKey.export({ format: 'der', type: 'spki' });
  const csrDer = buildCertificateRequest({ privateKey, publicKeyDer: spkiDer });
  return { keyDer: privateKey.export({ format: 'der', type: 'pkcs8' }), spkiDer, csrDer };
}

function openBootstrap(setting: AgentConfig['bootstrap']): {
  authorities: readonly X509Authority[] | undefined;
  digest: string;
} {
  if (!('bundlePem' in setting)) return { authorities: undefined, digest: 'insecure' };
  let ders: readonly Buffer[] = [];
  try {
    ders = decodeCertificatesPem(setting.bundlePem);
  } catch (cause) {
    throw new AgentError('ERR_AGENT_CONFIG', `the bootstrap bundle can not be read: ${messageOf(cause)}`, { cause });
  }
  if (ders.length === 0) throw new AgentError('ERR_AGENT_CONFIG', 'the bootstrap bundle holds no certificate');
  return {
    authorities: ders.map((der) => ({ der, tainted: false })),
    digest: sha256(...ders).toString('hex'),
  };
}

/** A private key of 8192 bits in PEM has some 6,400. */
const PROOF_BYTES_MAX = 65_536;
const RENEW_RETRY_FIRST_MS = 5_000;
const RENEW_RETRY_MAX_MS = 60_000;
