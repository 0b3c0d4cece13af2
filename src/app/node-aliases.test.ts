import { parseTrustDomain, spiffeIdOf } from '@countersign/sdk/identity';
import { expect, it } from 'vitest';
import { openTestStore } from '../../test/support/store.ts';
import { createRegistration, registrationMigrations } from '../registration/index.ts';
import { createManualClock, createSeededRandom, createSilentLog } from '../std/index.ts';
import { createNodeAliases } from './node-aliases.ts';

const trustDomain = parseTrustDomain('example.org');
const named = (path: string) => spiffeIdOf(trustDomain, path);

it('aliases of nodes that are gone go with them, and nothing that operators declared', async () => {
  await using test = await openTestStore(registrationMigrations);
  const registration = createRegistration({
    ...{ store: test.store, trustDomain, clock: createManualClock(0), knowsTrustDomain: () => false },
    ...{ random: createSeededRandom('aliases'), log: createSilentLog() },
  });
  await registration.start(new AbortController().signal);
  const aliases = createNodeAliases(registration);
  const nodes = Array.from({ length: 1500 }, (_, n) => named(`/spire/agent/join_token/t${n}`));
  await Promise.all(nodes.map((node, place) => aliases.createAlias(node, named('/node/first'), `alias-${place}`)));
  const gone = nodes.slice(1);
  const [stays, one] = nodes;
  if (stays === undefined || one === undefined) throw new Error('there are 1500');
  const declared = { id: 'web', spiffeId: named('/web').uri, parentId: one.uri };
  await registration.batchCreate([{ ...declared, selectors: [{ type: 'unix', value: 'uid:1' }] }]);

  await aliases.removeAliases(gone);

  expect((await registration.list({})).entries.map(({ id }) => id)).toEqual(['alias-0', 'web']);
  expect(registration.authorizedEntries(stays, [])).toHaveLength(1);
  await registration.stop();
});
