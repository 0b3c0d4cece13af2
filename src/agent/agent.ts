import type { Socket } from 'node:net';
import { dirname } from 'node:path';
import type { AttestorMember, PeerProcess } from '../attestation/index.ts';
import { openPrivateFolder, removeUnfinished } from '../private-files/index.ts';
import { type Clock, type Log, memberById, type Random, type Service, startAll, stopAll } from '../std/index.ts';
import { createSealer } from '../wire/seal/index.ts';
import { type Assembly, assemble, type Parts } from './assemble-agent.ts';
import type { OpenAttestor } from './callers.ts';
import type { AgentConfig } from './config.ts';
import { type Counters, createCounters } from './counters.ts';
import { AgentError } from './errors.ts';
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
  /** Tells the process at the other end of a Unix socket just accepted. */
  readonly readPeer: (socket: Socket) => PeerProcess;
  /**
   * Called once when the server refuses this node for good (ERR_AGENT_BANNED, ERR_AGENT_DENIED), or its state can not be kept
   * (ERR_AGENT_STATE): identity and cache are removed by then, and the agent serves nobody until it is stopped and started anew.
   */
  readonly onFatal: (error: AgentError) => void;
}

/** A node's agent. */
export interface Agent extends Service {
  /** Plain counters, for metrics. */
  readonly counters: Readonly<Counters>;
  /**
   * `attested`: the node has a valid identity of its own; `ready`: workloads can be served; `problem`: what the last attempt to reach the
   * server, or to prove the node to it, failed with, undefined after one that did not.
   */
  status(): {
    readonly attested: boolean;
    readonly ready: boolean;
    readonly targets: readonly string[];
    readonly problem: unknown;
  };
}

/**
 * Creates an agent. `start` resolves once the Workload API's socket is open, whether or not the server can be reached.
 * @throws AgentError ERR_AGENT_CONFIG at once; from `start` also ERR_AGENT_STATE, ERR_AGENT_SOCKET, PrivateFileError and RpcSetupError
 */
export function createAgent(deps: AgentDeps): Agent {
  const counters = createCounters();
  const workloadAttestors = openAttestors(deps);
  const node = nodeAttestor(deps);
  let parts: Parts | undefined;
  let serving = false;
  return {
    counters,
    status: () => ({
      attested: parts?.attachment.identity() !== undefined,
      ready: parts?.cache.ready() === true,
      targets: parts?.targetNames() ?? [],
      problem: parts?.problem(),
    }),
    async start(signal) {
      const { config, random } = deps;
      openPrivateFolder(config.dataDir);
      await removeUnfinished(config.dataDir);
      const key = await openSealKey({ dataDir: config.dataDir, passphraseRef: config.sealPassphrase, random });
      parts = assemble({ ...deps, counters, workloadAttestors, node, sealer: createSealer(key, random) });
      await parts.attachment.open();
      await parts.restore();
      await prepareSocketFolder(dirname(config.socketPath));
      await startAll(parts.services, signal);
      serving = true;
    },
    async stop() {
      await parts?.drain();
      if (serving) await stopAll(parts?.services ?? []);
      serving = false;
      await parts?.close();
    },
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
