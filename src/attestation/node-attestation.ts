import type { SpiffeId, TrustDomain } from '@countersign/sdk/identity';
import type { RevocationFacts } from '../model/index.ts';
import { type Clock, createSampledLog, type Log, type Random, sha256 } from '../std/index.ts';
import { parseCertificateRequest } from '../wire/x509/index.ts';
import type { AttestorMember, NodeVerifier, NodeVerifierDeps } from './attestor.ts';
import { AttestationError } from './errors.ts';
import type { Nodes } from './nodes/nodes.ts';

/** Attests nodes and gives them their SVID. */
export interface NodeAttestation {
  /**
   * One attestation: verifies `payload` (asking `challenge` as often as the attestor wants), issues an X.509-SVID for the CSR's public key,
   * and records the node before it returns.
   * @throws AttestationError ERR_ATTEST_TYPE, ERR_ATTEST_PAYLOAD, ERR_ATTEST_REFUSED; X509Error for the CSR; AuthorityError, StoreError
   */
  attest(request: AttestRequest): Promise<AttestResult>;
}

export interface AttestRequest {
  readonly type: string;
  readonly payload: Buffer;
  /** PKCS #10; only its key counts, and its signature proves that the agent has it. */
  readonly csrDer: Buffer;
  readonly challenge: (bytes: Buffer) => Promise<Buffer>;
  readonly signal: AbortSignal;
}

interface IssuedSvid {
  readonly chainDer: readonly Buffer[];
  readonly serial: string;
  readonly expiresAtS: number;
}

export interface AttestResult {
  readonly id: SpiffeId;
  /** Leaf first; the root is not in it. */
  readonly chainDer: readonly Buffer[];
  readonly expiresAtS: number;
  readonly reattestable: boolean;
}

/** What attestation needs of the authority. */
interface Issuer {
  issueX509Svid(request: {
    spiffeId: SpiffeId;
    publicKeyDer: Buffer;
    ttlS: number;
    dnsNames: readonly string[];
    signal: AbortSignal;
  }): Promise<IssuedSvid>;
}

/** What attestation needs of revocations: nothing is handed out that was signed for what is revoked. */
interface RevocationCheck {
  /** Looked at after the signature. One answer for each, undefined where it may be. @throws StoreError */
  checkSigned(facts: readonly RevocationFacts[]): Promise<readonly (Error | undefined)[]>;
}

/** What attestation needs of registration: to hang a token's alias. */
interface AliasKeeper {
  createAlias(nodeId: SpiffeId, aliasId: SpiffeId, entryId: string): Promise<void>;
}

/** Creates it; verifiers are opened here, so that a wrong setting stops the server at start. */
export async function createNodeAttestation(deps: {
  nodes: Nodes;
  /** The accepted attestors with their config. */
  attestors: readonly { readonly member: AttestorMember; readonly config: unknown }[];
  issuer: Issuer;
  revocations: RevocationCheck;
  aliases: AliasKeeper;
  clock: Clock;
  random: Random;
  log: Log;
  trustDomain: TrustDomain;
  /** See `NodeVerifierDeps`. */
  readTrustedFile: NodeVerifierDeps['readTrustedFile'];
  /** Life of the SVIDs, seconds; 0 = as the issuer says. */
  svidTtlS?: number;
}): Promise<NodeAttestation> {
  const { nodes, clock, random, log, trustDomain, issuer, readTrustedFile } = deps;
  const verifiers = new Map<string, NodeVerifier>();
  const refusals = createSampledLog({ clock, log });
  for (const { member, config } of deps.attestors) {
    const half = member.node;
    if (!half) continue;
    const opened = await half.openVerifier(config, { clock, random, trustDomain, readTrustedFile, log: refusals });
    verifiers.set(member.type, opened);
  }

  return {
    async attest({ type, payload, csrDer, challenge, signal }) {
      const verifier = verifiers.get(type);
      if (!verifier)
        throw new AttestationError('ERR_ATTEST_TYPE', `attestation by ${printable(type)} is not accepted here`);
      // The CSR is checked first: a token must not be used up by a request that can't succeed.
      const request = parseCertificateRequest(csrDer);
      let alias: SpiffeId | undefined;
      const consumeJoinToken = async (token: string) => {
        const used = await nodes.consumeJoinToken(token);
        alias = used?.agentId;
        return used;
      };
      const proven = await verifier.verify(payload, challenge, { signal, consumeJoinToken });
      const known = await nodes.find(proven.spiffeId);
      if (known?.serial === '') throw new AttestationError('ERR_ATTEST_BANNED', 'this node is banned');
      proven.admit?.(known);
      const svid = await issuer.issueX509Svid({
        spiffeId: proven.spiffeId,
        publicKeyDer: request.spkiDer,
        ttlS: deps.svidTtlS ?? 0,
        dnsNames: [],
        signal,
      });
      const { uri } = proven.spiffeId;
      const thumbprint = sha256(request.spkiDer).toString('hex');
      const [refusal] = await deps.revocations.checkSigned([{ spiffeId: uri, nodeId: uri, thumbprint }]);
      if (refusal !== undefined) throw refusal;
      const recorded = await nodes.recordAttestation({
        spiffeId: proven.spiffeId,
        attestationType: type,
        serial: svid.serial,
        notAfterS: svid.expiresAtS,
        newSerial: '',
        newNotAfterS: 0,
        selectors: [...proven.selectors, ATTESTED],
        reattestable: proven.reattestable,
        agentVersion: known?.agentVersion ?? '',
      });
      if (!recorded) throw new AttestationError('ERR_ATTEST_BANNED', 'this node is banned');
      if (alias) await deps.aliases.createAlias(proven.spiffeId, alias, random.bytes(16).toString('hex'));
      log.info('attestation.node.attested', { node: proven.spiffeId.uri, type });
      return {
        id: proven.spiffeId,
        chainDer: svid.chainDer,
        expiresAtS: svid.expiresAtS,
        reattestable: proven.reattestable,
      };
    },
  };
}

function printable(text: string): string {
  return /^[\w.-]{1,64}$/.test(text) ? text : 'that type';
}

/** Every attested node has it, so that an entry can hold on all of them (decision 0006). */
const ATTESTED = { type: 'countersign', value: 'node:attested' } as const;
