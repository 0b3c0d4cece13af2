import { expect, it } from 'vitest';
import type { Resource } from '../resources/index.ts';
import { createListing } from './listed-resources.ts';

// Goal: an operator who asks for it is told policies in parsed form; nobody else pays for that.

const policies: readonly Resource[] = [{ kind: 'Policy', name: 'p', spec: { cedar: 'permit;' } }];
const targets: readonly Resource[] = [{ kind: 'Target', name: 't', spec: { protocol: 'x' } }];
const forms = [{ textDigest: Uint8Array.from([1]), json: '{}' }];

function listing(parsed: { by: string; forms: typeof forms } | 'none' = { by: 'cedar', forms }) {
  const at = { revision: 1, times: 0 };
  const list = createListing({
    resources: {
      list: async () => ({ revision: at.revision, resources: [...policies, ...targets], policies, targets }),
    },
    parsePolicies(asked) {
      at.times++;
      expect(asked).toBe(policies);
      return parsed === 'none' ? undefined : parsed;
    },
  });
  return { at, list };
}

it('parsed forms come with the policies for whoever asks for them', async () => {
  const { list } = listing();
  for (const kind of [undefined, 'Policy'] as const)
    expect(await list({ parsed: true }, kind)).toMatchObject({
      revision: 1n,
      parsed: { by: 'cedar', policies: forms },
    });
  expect((await list({ parsed: true }, undefined)).resources).toHaveLength(2);
});

it('who does not ask, or asks for targets, gets none, and none are made', async () => {
  const { at, list } = listing();
  for (const answer of [await list({ parsed: false }, undefined), await list({ parsed: true }, 'Target')])
    expect(answer).not.toHaveProperty('parsed');
  expect(at.times).toBe(0);
});

it('they are made once a revision', async () => {
  const { at, list } = listing();
  for (let n = 0; n < 3; n++) await list({ parsed: true }, 'Policy');
  expect(at.times).toBe(1);
  at.revision++;
  await list({ parsed: true }, undefined);
  expect(at.times).toBe(2);
});

it('policies without a parsed form are told as they are, and that there is none is known as well', async () => {
  const { at, list } = listing('none');
  for (let n = 0; n < 2; n++) {
    const answer = await list({ parsed: true }, 'Policy');
    expect(answer).not.toHaveProperty('parsed');
    expect(answer.resources).toEqual([{ kind: 'Policy', name: 'p', specJson: '{"cedar":"permit;"}' }]);
  }
  expect(at.times).toBe(1);
});
