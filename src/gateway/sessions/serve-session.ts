import type { Duplex } from 'node:stream';
import type { SpiffeId } from '@countersign/sdk/identity';
import type { LedgerWriter } from '../../ledger/index.ts';
import type { Clock, Log, Random } from '../../std/index.ts';
import type { Sealer } from '../../wire/seal/index.ts';
import type { Approvals } from '../approvals/approvals.ts';
import type { HoldingDeps } from '../approvals/pipeline-holds.ts';
import type { MemoryBudget } from '../capacity/memory-budget.ts';
import type { SessionRefusal } from '../protocol.ts';
import type { ContentDigester } from '../recording/content-digest.ts';
import type { LedgerBatch } from '../recording/ledger-batch.ts';
import type { Recorder } from '../recording/recorder.ts';
import { createSessionLedger, type Durability } from '../recording/session-ledger.ts';
import type { OpenTarget } from '../targets/open-targets.ts';
import { type CurrentPolicies, createSessionPolicy } from './current-policies.ts';
import { createGate, type SessionOrigin } from './gate.ts';
import type { Quotas } from './quotas.ts';
import { type RequestProofs, SessionEnd, type SessionPolicy, type ToldCaller } from './session.ts';
import type { SessionHandle, Sessions } from './sessions.ts';
import { factsOf, type Standings } from './standing.ts';

/** What all sessions of a gateway share. */
export interface SessionParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly ledger: LedgerWriter;
  /** Of that ledger. */
  readonly batch: LedgerBatch;
  readonly durability: { readonly reads: Durability; readonly changes: Durability };
  /** Of what clients are not shown. */
  readonly sealer: Sealer;
  /** Of what clients say. */
  readonly digester: ContentDigester;
  readonly currentPolicies: CurrentPolicies;
  readonly standings: Standings;
  readonly recorder: Recorder;
  readonly quotas: Quotas;
  /** Undefined: nobody can be asked to approve of anything. */
  readonly approvals: Approvals | undefined;
  readonly random: Random;
  /** SPIFFE ID of the gateway, once it is known. */
  readonly own: () => SpiffeId | undefined;
  readonly budget: MemoryBudget;
  readonly sessions: Pick<Sessions, 'remove'>;
}

/**
 * Gives an admitted session its policy, its part of the ledger and its share of memory, and has the target serve it. Resolves when it is
 * over, its handle removed, whatever the target did.
 */
export async function serveSession(
  parts: SessionParts,
  { target, member }: Pick<OpenTarget, 'target' | 'member'>,
  admitted: { readonly handle: SessionHandle; readonly client: Duplex; readonly proofs?: RequestProofs | undefined },
): Promise<void> {
  const { clock, log, ledger, batch, durability, sealer, digester, recorder, quotas } = parts;
  const { handle, client, proofs } = admitted;
  const { id, identity, door, isAside } = handle;
  const fields = { session: id, identity: identity.uri, target: handle.target, door };
  log.info('gateway.session.opened', fields);
  const end = (refusal: SessionRefusal) => handle.end.abort(new SessionEnd(refusal));
  const memory = parts.budget.open((heldBytes) => {
    log.warn('gateway.session.memory', { ...fields, heldBytes });
    end(OUT_OF_MEMORY);
  });
  const { signal } = handle.end;
  const policy = createSessionPolicy(parts.currentPolicies, identity, {
    ...{ standings: parts.standings, facts: factsOf(handle) },
  });
  const drain = handle.drain.signal;
  const gate = createGate({
    holding: holdingOf(parts, { handle, protocol: member.id, policy }),
    ...{ clock, policy, signal, end, recorder, quotas },
    holder: { identity: identity.uri, target: handle.target },
    activity: handle.activity,
    origin: originOf(handle),
    log: log.child({ session: id }),
    ledger: createSessionLedger({
      ...{ ledger, batch, clock, durability, sealer, digester },
      session: id,
      actor: identity.uri,
      target: handle.target,
    }),
  });
  try {
    await target.serve({ id, identity, client, door, isAside, memory, policy, gate, signal, drain, proofs });
  } catch (error) {
    // A member that throws has a bug; one session is lost, not the gateway.
    log.error('gateway.session.failed', { ...fields, error });
    client.destroy();
  } finally {
    gate.close();
    memory.close();
    parts.sessions.remove(handle);
    log.info('gateway.session.closed', fields);
  }
}

/** What questions about its operations say of the session. */
function holdingOf(
  { approvals, random, own }: Pick<SessionParts, 'approvals' | 'random' | 'own'>,
  of: { readonly handle: SessionHandle; readonly protocol: string; readonly policy: SessionPolicy },
): HoldingDeps | undefined {
  const gateway = own();
  if (approvals === undefined || gateway === undefined) return undefined;
  const { handle, protocol, policy } = of;
  const { id, identity, caller, target } = handle;
  const { pid, startTime = null } = caller?.process ?? {};
  return {
    ...{ approvals, random, protocol, policy, signal: handle.end.signal, drain: handle.drain.signal },
    expiresMs: () => handle.expiresAtS * 1000,
    session: {
      ...{ trustDomain: gateway.trustDomain, gateway: gateway.uri, session: id, identity: identity.uri, target },
      ...{ entry: caller?.entryId ?? null, node: caller?.nodeId ?? null },
      instance: pid === undefined ? null : { pid, start: startTime },
    },
  };
}

function originOf({ door, address, serial, expiresAtS, caller, token }: SessionHandle): SessionOrigin {
  const expiresMs = expiresAtS * 1000;
  if (token !== undefined)
    return { door, peer: address, certificate: undefined, token: { keyId: token.keyId, expiresMs } };
  const certificate = { serial, expiresMs };
  return { door, peer: address, certificate, ...(caller === undefined ? {} : { caller: recordedCaller(caller) }) };
}

/** Its values are bounded where they were read. */
function recordedCaller({ process, selectors, ...told }: ToldCaller): NonNullable<SessionOrigin['caller']> {
  const { executable, startTime, ...ids } = process;
  return {
    ...{ ...told, selectors: [...selectors] },
    process: {
      ...ids,
      ...(executable === undefined ? {} : { executable }),
      ...(startTime === undefined ? {} : { startTime }),
    },
  };
}

const OUT_OF_MEMORY: SessionRefusal = {
  code: 'memory',
  what: 'the gateway holds as many bytes as it may, and this session held most of them',
};
