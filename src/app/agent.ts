import { parseTrustDomain } from '@countersign/sdk/identity';
import { createAgent, type AgentConfig as RunningAgentConfig, TARGETS_DRAIN_MS } from '../agent/index.ts';
import { attestors } from '../attestation/attestors/registry.generated.ts';
import { readPeer } from '../attestation/index.ts';
import { type AgentConfig, parseAddress } from '../config/index.ts';
import { localProtocols } from '../gateway/protocols/local-registry.generated.ts';
import { readTrustedFile } from '../private-files/index.ts';
import { messageOf, parseDurationMs, type Service, startAll, stopAll } from '../std/index.ts';
import { AppError } from './errors.ts';
import { createAgentChecks } from './health/agent-checks.ts';
import { createClockCheck } from './health/clock-check.ts';
import { createConditions, reasonsOf } from './health/conditions.ts';
import { createHealthServer } from './health/health-server.ts';
import { clockIsSynchronised } from './health/machine-clock.ts';
import { createProcessChecks } from './health/process-checks.ts';
import { hardenProcess } from './process/hardening.ts';
import { allChosen, chosen, type Role, type RoleDeps } from './role.ts';
import { serverAddresses } from './server-addresses.ts';
import { VERSION } from './version.ts';

/** An agent that runs. */
export interface AgentRole extends Role {
  /** A successor serves in its place. */
  isReplaced(): boolean;
}

/** The agent of a node, as its section of the configuration says. `onFatal` hears why the server shut this node out for good. */
export function createAgentApp(
  deps: RoleDeps<AgentConfig> & {
    onFatal?: (error: Error) => void;
    /** Takes over from an agent that runs on the same data folder. */
    replace?: boolean;
  },
): AgentRole {
  const { config, clock, random, log } = deps;
  hardenProcess({ log, attested: false });
  let fatal: Error | undefined;
  const agent = createAgent({
    ...(deps.replace === undefined ? {} : { replace: deps.replace }),
    alone: { start: (signal) => startAll(alone, signal), stop: () => stopAll(alone) },
    clock,
    random,
    log,
    config: runningConfig(deps),
    attestors,
    protocols: localProtocols,
    readPeer,
    onFatal(error) {
      fatal = error;
      log.error('app.agent.shut_out', { error });
      deps.onFatal?.(error);
    },
  });
  const metrics = Object.keys(agent.counters).map((name) => ({
    name: `countersign_agent_${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}_total`,
    help: `${name} of the agent since it started.`,
    read: () => Number(Object.entries(agent.counters).find(([known]) => known === name)?.[1] ?? 0),
  }));
  const stage = () => agent.status().stage;
  const checks = createProcessChecks({ clock, log, dataDir: config.dataDir });
  const conditions = createConditions('agent', {
    ...{ clock, log },
    checks: {
      ...checks.checks,
      ...createAgentChecks({ clock, config, status: agent.status, fatal: () => fatal }),
      clock: createClockCheck({
        peer: { offset: () => agent.status().serverClock },
        peerName: 'the server',
        synchronised: clockIsSynchronised,
      }),
    },
  });
  // One on a machine: a successor listens on the same port, and what is wrong is its to tell.
  const alone: Service[] = [conditions];
  if (config.http !== undefined)
    alone.unshift(createHealthServer({ ...parseAddress(config.http), log, conditions, metrics }));
  const services = [checks.service, agent];
  return {
    start: (signal) => startAll(services, signal),
    // What has been stopped is no condition.
    stop: () => conditions.stop().then(() => stopAll(services)),
    isReplaced: () => stage() === 'leaving' || stage() === 'over',
    isOver: () => stage() === 'over',
    notReady: () => reasonsOf(conditions.findings()),
    graceMs: TARGETS_DRAIN_MS,
    // No retry can help any more: its supervisor is to say so, or to begin anew.
    failure: () => fatal,
  };
}

function runningConfig({ config, trustDomain, random }: RoleDeps<AgentConfig>): RunningAgentConfig {
  const attestor = chosen(config.attestor);
  // agent.joinToken is the short way to say the token of the join-token attestor.
  const nodeAttestor =
    attestor.id === 'join-token' && config.joinToken !== undefined
      ? { id: attestor.id, config: { token: config.joinToken } }
      : attestor;
  return {
    trustDomain: parseTrustDomain(trustDomain),
    serverAddress: serverAddresses(config.server, random),
    bootstrap: bootstrapOf(config),
    dataDir: config.dataDir,
    socketPath: config.socket,
    targetsDir: config.targetsDir,
    nodeAttestor,
    workloadAttestors: allChosen(config.workloadAttestors),
    lingerMs: parseDurationMs(config.linger) ?? 0,
    version: VERSION,
    ...(config.pidFile === undefined ? {} : { pidFile: config.pidFile }),
    ...(config.sealPassphrase === undefined ? {} : { sealPassphrase: config.sealPassphrase }),
  };
}

function bootstrapOf(config: AgentConfig): RunningAgentConfig['bootstrap'] {
  if (config.insecureBootstrap) return { insecure: true };
  if (config.trustBundle === undefined) {
    throw new AppError(
      'ERR_APP_CONFIG',
      "agent.trustBundle must name the server's CA certificates (a PEM file), or agent.insecureBootstrap be true to trust whoever answers first",
    );
  }
  let pem: Buffer | undefined;
  try {
    // Whoever can change it decides which server this node believes.
    pem = readTrustedFile(config.trustBundle, { bytesMax: BUNDLE_BYTES_MAX });
  } catch (cause) {
    throw new AppError('ERR_APP_CONFIG', `agent.trustBundle can not be read: ${messageOf(cause)}`, { cause });
  }
  if (pem) return { bundlePem: pem.toString('utf8') };
  throw new AppError('ERR_APP_CONFIG', `agent.trustBundle can not be read: there is no ${config.trustBundle}`);
}

/** Hundreds of certificates. */
const BUNDLE_BYTES_MAX = 1024 * 1024;
