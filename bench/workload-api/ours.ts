/** A process that serves the Workload API as the agent does: real sockets, real attestation of each connection, a cache that is full. */
import { parseTrustDomain, spiffeIdOf } from '@countersign/sdk/identity';
import { createJwtCache } from '../../src/agent/cache/jwt-cache.ts';
import { createSvidCache } from '../../src/agent/cache/svid-cache.ts';
import type { AgentEntry } from '../../src/agent/cache/types.ts';
import { type Caller, createCallers } from '../../src/agent/callers.ts';
import { createCounters } from '../../src/agent/counters.ts';
import { createTestAuthority } from '../../src/agent/testing/test-authority.ts';
import { createIdentities } from '../../src/agent/workload-api/identities.ts';
import { CALLER, createWorkloadApi } from '../../src/agent/workload-api/service.ts';
import { member as unix } from '../../src/attestation/attestors/unix/index.ts';
import { readPeer } from '../../src/attestation/index.ts';
import { createRpcServer } from '../../src/rpc/index.ts';
import { createSilentLog, createSystemClock, createSystemRandom } from '../../src/std/index.ts';
import { serveBench } from './child.ts';
import { JWT_RESPONSE_BYTES } from './sizes.ts';

const trustDomain = parseTrustDomain('example.org');
const deps = { clock: createSystemClock(), random: createSystemRandom(), log: createSilentLog() };
const authority = createTestAuthority({ ...deps, trustDomain });
const cache = createSvidCache({ ...deps, trustDomain, svidsMax: 1000, onChange: () => {} });
const counters = createCounters();
const neverAsked = () => Promise.reject(new Error('the cache has everything'));
const jwts = createJwtCache({
  ...deps,
  tokensMax: 1000,
  issue: async (asked, audience) => {
    const token = authority.jwt({ uri: asked.spiffeId.uri, audience, ttlS: 3600 });
    return {
      ...token,
      keyId: authority.jwtKeyId,
      issuedAtMs: token.issuedAtS * 1000,
      expiresAtMs: token.expiresAtS * 1000,
    };
  },
  onChange: () => {},
});
const spiffeId = spiffeIdOf(trustDomain, '/ns/shop/sa/web');
const sample = authority.jwt({ uri: spiffeId.uri, audience: ['db'], ttlS: 3600 }).token;
const entry: AgentEntry = {
  ...{ id: 'e1', spiffeId, selectors: [{ type: 'unix', value: `uid:${process.getuid?.()}` }], federatesWith: [] },
  ...{ createdAtS: 1, revision: 1, prefetch: true, uniqueJwt: false },
  // Fills the answer up to the size that both servers send. Ten bytes go for the heads of the fields.
  hint: 'h'.repeat(JWT_RESPONSE_BYTES - sample.length - spiffeId.uri.length - 12),
};
cache.applyBundles(authority.bundle(1), new Map());
cache.applyEntries([entry]);
rotate();

const callers = createCallers({
  ...deps,
  counters,
  readPeer,
  attestors: [{ id: 'unix', attest: await unix.workload.open({ discoverPath: false }) }],
});
const identities = createIdentities({
  ...deps,
  cache,
  minter: { mint: neverAsked },
  sync: {
    ask: neverAsked,
    poke: () => {},
  },
});
const ownBundle = () => cache.bundle(trustDomain);
const server = createRpcServer({
  ...deps,
  services: [createWorkloadApi({ ...deps, counters, refusals: { note() {} }, identities, jwts, ownBundle })],
  listen: { unix: process.argv[2] ?? '', mode: 0o777 },
  onConnection: (peer, state) => void state.set(CALLER, callers.accept(peer.socket)),
  // Only onConnection writes under this symbol.
  onDisconnect: (_peer, state) => (state.get(CALLER) as Caller | undefined)?.close(),
});
await server.start(new AbortController().signal);
serveBench({ update: rotate });

/** A new SVID, as after each rotation: every stream is told. */
function rotate(): void {
  const { chainDer, keyDer, expiresAtS } = authority.issueWithKey('/ns/shop/sa/web', 3600);
  cache.put({
    ...{ entryId: entry.id, spiffeId, chainDer, keyDer, revision: 1 },
    ...{ issuedAtMs: deps.clock.now(), expiresAtMs: expiresAtS * 1000 },
  });
  cache.publish();
}
