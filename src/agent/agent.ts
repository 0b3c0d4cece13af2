import type { Socket } from 'node:net';
import { dirname } from 'node:path';
import type { AttestorMember, PeerProcess } from '../attestation/index.ts';
import { createKnownRevocations } from '../known-revocations/index.ts';
import type { LocalProtocol } from '../model/index.ts';
import { openPrivateFolder, removeUnfinished } from '../private-files/index.ts';
import {
  type Clock,
  type ClockOffset,
  createPeerClock,
  type Log,
  memberById,
  type Random,
  type Service,
  startAll,
  stopAll,
} from '../std/index.ts';
import { createSealer } from '../wire/seal/index.ts';
import { type Assembly, assemble, type Parts } from './assemble-agent.ts';
import type { OpenAttestor } from './callers.ts';
import type { AgentConfig } from './config.ts';
import { type Counters, createCounters } from './counters.ts';
import { AgentError } from './errors.ts';
import { createSuccession, type Stage, type Work } from './handover/succession.ts';
import { openSealKey } from './seal-key.ts';
import { prepareSocketFolder } from './socket-path.ts';

/** What an agent needs. */
export interface AgentDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly config: AgentConfig;
  /** The registered attestors; `config` names those that are used. */
  readonly attestors: readonly AttestorMember[];
  /** The agent's halves of the registered protocols: targets of these get a socket. */
  readonly protocols: readonly LocalProtocol[];
  /** Tells the process at the other end of a Unix socket just accepted. */
  readonly readPeer: (socket: Socket) => PeerProcess;
  /**
   * Called once when the server refuses this node for good (ERR_AGENT_BANNED, ERR_AGENT_DENIED), or its state can not be kept
   * (ERR_AGENT_STATE): identity and cache are removed by then, and the agent serves nobody until it is stopped and started anew.
   */
  readonly onFatal: (error: AgentError) => void;
  /** Takes over from an agent that runs on the same data folder; without it such an agent is left alone, and the start fails. */
  readonly replace?: boolean;
  /** What can be there once on a machine, such as a listener on a port: it runs while the data folder is this agent's. */
  readonly alone?: Service;
}

/** How an agent is. Times are epoch milliseconds. */
export interface AgentStatus {
  readonly stage: Stage;
  /** The node has a valid identity of its own. */
  readonly attested: boolean;
  /** Workloads can be served. */
  readonly ready: boolean;
  readonly targets: readonly string[];
  /** The node's identity, be it over or not; undefined before the first. */
  readonly identity: { readonly issuedMs: number; readonly expiresMs: number } | undefined;
  /** When the first identity of a workload ends that the cache holds; `Infinity` for none. */
  readonly svidsUntilMs: number;
  /** What the last attempt to reach the server, or to prove the node to it, failed with, and for how long they have; undefined after one that did not. */
  readonly problem: { readonly error: unknown; readonly forMs: number } | undefined;
  /** For how long the server's push stream has been away; undefined while it is open, and of a server that has none. */
  readonly pushLostForMs: number | undefined;
  /** For how long nobody knows any more who is revoked, and why; undefined while the server says so. */
  readonly revocationsProblem: { readonly error: unknown; readonly forMs: number } | undefined;
  /** What keeps the revocations from the disk. */
  readonly revocationsUnkept: unknown;
  /** What reading or writing the sealed cache last failed with. */
  readonly cacheProblem: unknown;
  /** How far the server's clock is from this machine's, as far as it is known. */
  readonly serverClock: ClockOffset | undefined;
}

/** A node's agent. */
export interface Agent extends Service {
  /** Plain counters, for metrics. */
  readonly counters: Readonly<Counters>;
  status(): AgentStatus;
}

/**
 * Creates an agent. `start` resolves once the Workload API's socket is open, whether or not the server can be reached. Once it serves it hands
 * over to a successor that asks for it (docs/decisions/0028).
 * @throws AgentError ERR_AGENT_CONFIG at once; from `start` also ERR_AGENT_STATE, ERR_AGENT_SOCKET, ERR_AGENT_RUNNING, ERR_AGENT_HANDOVER,
 * PrivateFileError and RpcSetupError
 */
export function createAgent(deps: AgentDeps): Agent {
  const { clock, random, config } = deps;
  const counters = createCounters();
  const workloadAttestors = openAttestors(deps);
  const node = nodeAttestor(deps);
  const serverClock = createPeerClock(clock);
  let parts: Parts | undefined;
  let serving = false;

  const work: Work = {
    async open(doors, { isFirst, signal }) {
      const { dataDir, sealPassphrase: passphraseRef } = config;
      await removeUnfinished(dataDir);
      const key = await openSealKey({ dataDir, passphraseRef, random, mayMake: isFirst });
      const sealer = createSealer(key, random);
      const revocations = createKnownRevocations({ clock, log: deps.log });
      parts = assemble({ ...deps, revocations, counters, workloadAttestors, node, serverClock, sealer, doors });
      await parts.attachment.open();
      await parts.restore();
      await prepareSocketFolder(dirname(config.socketPath));
      await startAll(parts.services, signal);
      serving = true;
    },
    isReady: () => parts?.attachment.identity() !== undefined && parts.cache.ready(),
    begin: async () => parts?.begin(),
    pause: async () => parts?.pause(),
    resume: () => parts?.resume(),
    async outlast(signal) {
      await parts?.outlast(signal);
      await parts?.close();
    },
    async stop() {
      await parts?.drain();
      if (serving) await stopAll(parts?.services ?? []);
      await parts?.close();
    },
  };
  const succession = createSuccession({
    ...{ clock, log: deps.log, config, work },
    pid: process.pid,
    replace: deps.replace === true,
    alone: deps.alone ?? NOTHING,
  });
  return {
    counters,
    status: () => ({
      stage: succession.stage(),
      attested: parts?.attachment.identity() !== undefined,
      ready: parts?.cache.ready() === true,
      targets: parts?.targetNames() ?? [],
      identity: parts?.attachment.life(),
      svidsUntilMs: parts?.cache.nextTimes().expireAtMs ?? Number.POSITIVE_INFINITY,
      problem: parts?.problem(),
      pushLostForMs: parts?.pushLostForMs(),
      revocationsProblem: parts?.revocations.problem(),
      revocationsUnkept: parts?.revocations.keepProblem(),
      cacheProblem: parts?.cacheProblem(),
      serverClock: serverClock.offset(),
    }),
    async start(signal) {
      openPrivateFolder(config.dataDir);
      await succession.start(signal);
    },
    stop: () => succession.stop(),
  };
}

function openAttestors({ config, attestors }: AgentDeps): OpenAttestor[] {
  return config.workloadAttestors.map(({ id, config: options }) => {
    const workload = memberById(attestors, id)?.workload;
    if (workload) return { id, attest: workload.open(options) };
    throw new AgentError('ERR_AGENT_CONFIG', `there is no workload attestor ${JSON.stringify(id)}`);
  });
}

function nodeAttestor({ config, attestors }: AgentDeps): Assembly['node'] {
  const { id, config: options } = config.nodeAttestor;
  const member = memberById(attestors, id);
  if (member?.node) return { type: member.type, node: member.node, config: options };
  throw new AgentError('ERR_AGENT_CONFIG', `there is no node attestor ${JSON.stringify(id)}`);
}

const NOTHING: Service = { start: async () => {}, stop: async () => {} };
