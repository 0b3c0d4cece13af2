/**
 * The agent of a node: it proves the node to the server, learns which identities the node may give out, and gives each local process
 * its own: X.509-SVIDs, JWT-SVIDs and bundles over the SPIFFE Workload API, and sessions with targets through local sockets.
 *
 * It promises: nobody gets an identity but the very process that was attested; an expired SVID is never handed out; what was once
 * learned serves on while the server is away, across restarts too; one caller can't keep another from being served; keys leave the
 * agent only to the process they belong to. It must not know how the server decides, nor what bytes a session carries:
 * what it must know of a protocol, a half of the protocol's own says (`LocalProtocol`).
 */
export { type Agent, type AgentDeps, type AgentStatus, createAgent } from './agent.ts';
export type { AgentConfig, AttestorChoice } from './config.ts';
export type { Counters } from './counters.ts';
export { AgentError, errorTable } from './errors.ts';
export { runningAgent } from './handover/take-over.ts';
export { TARGETS_DRAIN_MS } from './targets/targets.ts';
