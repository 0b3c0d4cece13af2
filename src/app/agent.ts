import { parseTrustDomain } from '@countersign/sdk/identity';
import { type Agent, createAgent, type AgentConfig as RunningAgentConfig, TARGETS_DRAIN_MS } from '../agent/index.ts';
import { attestors } from '../attestation/attestors/registry.generated.ts';
import { readPeer } from '../attestation/index.ts';
import { type AgentConfig, parseAddress } from '../config/index.ts';
import { readTrustedFile } from '../private-files/index.ts';
import { CodedError, messageOf, type Service, startAll, stopAll } from '../std/index.ts';
import { AppError } from './errors.ts';
import { createHealthServer, type Problem } from './health-server.ts';
import { allChosen, chosen, type Role, type RoleDeps } from './role.ts';
import { shieldProcess } from './shield.ts';
import { VERSION } from './version.ts';

/** The agent of a node, as its section of the configuration says. `onFatal` hears why the server shut this node out for good. */
export function createAgentApp(deps: RoleDeps<AgentConfig> & { onFatal?: (error: Error) => void }): Role {
  const { config, clock, random, log } = deps;
  shieldProcess({ log, attested: false });
  let fatal: Error | undefined;
  const agent = createAgent({
    clock,
    random,
    log,
    config: runningConfig(deps),
    attestors,
    readPeer,
    onFatal(error) {
      fatal = error;
      log.error('app.agent.shut_out', { error });
      deps.onFatal?.(error);
    },
  });
  const notReady = () => {
    if (fatal) return [fatal.message];
    const { attested, ready, problem } = agent.status();
    return [
      ...(attested
        ? []
        : [
            problem === undefined
              ? 'the node has no identity yet'
              : `the node has no identity yet: ${messageOf(problem)}`,
          ]),
      ...(ready ? [] : ['nothing was fetched from the server yet']),
    ];
  };
  const metrics = Object.keys(agent.counters).map((name) => ({
    name: `countersign_agent_${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}_total`,
    help: `${name} of the agent since it started.`,
    read: () => Number(Object.entries(agent.counters).find(([known]) => known === name)?.[1] ?? 0),
  }));
  const services: Service[] = [agent];
  if (config.http !== undefined)
    services.unshift(
      createHealthServer({
        ...parseAddress(config.http),
        ...{ log, notReady, metrics },
        problems: () => problemsOf(fatal, agent.status()),
      }),
    );
  return {
    start: (signal) => startAll(services, signal),
    stop: () => stopAll(services),
    notReady,
    graceMs: TARGETS_DRAIN_MS,
    // No retry can help any more: its supervisor is to say so, or to begin anew.
    failure: () => fatal,
  };
}

/** What a person has to do before this node gets an identity. */
function problemsOf(fatal: Error | undefined, { attested, problem }: ReturnType<Agent['status']>): Problem[] {
  const error = fatal ?? (attested ? undefined : problem);
  if (error === undefined) return [];
  const remedy =
    codedIn(error)?.entry.remedy ?? 'See that the server runs and that this machine reaches it at agent.server.';
  return [{ what: 'identity of the node', found: messageOf(error), remedy }];
}

/** A call that failed says why by what caused it. */
function codedIn(error: unknown): CodedError<string> | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) if (cause instanceof CodedError) return cause;
  return undefined;
}

function runningConfig({ config, trustDomain }: RoleDeps<AgentConfig>): RunningAgentConfig {
  const attestor = chosen(config.attestor);
  // agent.joinToken is the short way to say the token of the join-token attestor.
  const nodeAttestor =
    attestor.id === 'join-token' && config.joinToken !== undefined
      ? { id: attestor.id, config: { token: config.joinToken } }
      : attestor;
  return {
    trustDomain: parseTrustDomain(trustDomain),
    serverAddress: parseAddress(config.server),
    bootstrap: bootstrapOf(config),
    dataDir: config.dataDir,
    socketPath: config.socket,
    targetsDir: config.targetsDir,
    nodeAttestor,
    workloadAttestors: allChosen(config.workloadAttestors),
    version: VERSION,
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
