import { describe, expect, it } from 'vitest';
import { attributesDigest, judgedBy, parseIdentityAttributes } from '../../model/index.ts';
import { composeSchema, createKnownAttributes, readOperation } from '../../policy/index.ts';
import { policySchema } from '../protocols/postgres/sql/policy-schema.ts';
import { createRecorder } from './recorder.ts';
import { createToldAttributes } from './told-attributes.ts';

// Goal: what an identity was when it was judged can be read from the ledger alone, whatever it is now.

const schema = composeSchema([policySchema]);
const recorder = createRecorder(schema);
const judged = (labels: Record<string, string> | undefined) => {
  const attributes = parseIdentityAttributes({ labels });
  const set = { digest: 'd', revision: 1, timeMs: 2 };
  const identity = { digest: attributesDigest(attributes), attributes };
  return judgedBy(labels === undefined ? set : { ...set, identity }, []);
};
const [NONE, RED, BLUE] = [judged(undefined), judged({ team: 'red' }), judged({ team: 'blue' })];
const labelsIn = ({ attributes }: ReturnType<ReturnType<typeof createToldAttributes>['detail']>) =>
  attributes === undefined ? undefined : Object(attributes).labels;

describe('the attributes of a session', () => {
  it('are told in its first entry and after each change, also when none are left', () => {
    const told = createToldAttributes();
    expect([RED, RED, BLUE, NONE, NONE, RED].map((one) => labelsIn(told.detail(one)))).toEqual([
      { team: 'red' },
      undefined,
      { team: 'blue' },
      {},
      undefined,
      { team: 'red' },
    ]);
  });

  it('are not told of one that never had any, nor before there were policies', () => {
    const told = createToldAttributes();
    expect([NONE, judgedBy(undefined, [])].map((one) => told.detail(one))).toEqual([{}, {}]);
  });

  it('are told again when the entry that told them was not written', () => {
    const told = createToldAttributes();
    told.detail(RED);
    told.forget();
    expect(labelsIn(told.detail(RED))).toEqual({ team: 'red' });
    told.forget();
    expect(labelsIn(told.detail(NONE))).toEqual({});
  });
});

describe('an entry that is read back', () => {
  const told = createToldAttributes();
  const entry = (one: typeof RED, seq: number) => ({
    ...{ kind: 'intent', timeMs: 1, actor: 'spiffe://example.org/web', target: 't', action: 'postgres:select', seq },
    ...{ session: 's', operation: '1', detail: { ...told.detail(one), ...recorder.allowed(one) } },
  });
  const entries = [RED, RED, BLUE, NONE].map(entry);
  const tagsIn = (read: ReturnType<typeof readOperation>) => (typeof read === 'object' ? read.principal.tags : read);

  it('has the identity as it was then', () => {
    const known = createKnownAttributes();
    const read = entries.map((one) => tagsIn(readOperation(one, schema, known)));
    expect(read).toEqual([{ team: 'red' }, { team: 'red' }, { team: 'blue' }, {}]);
  });

  it('is left out when the entry that says what the identity was is not there', () => {
    const known = createKnownAttributes();
    expect(entries.slice(1).map((one) => tagsIn(readOperation(one, schema, known)))).toEqual([
      'cut',
      { team: 'blue' },
      {},
    ]);
  });

  it('is left out when what was said is no attribute, or is not what was judged', () => {
    const [first] = entries;
    if (first === undefined) throw new Error('there are four');
    for (const labels of [{ team: 'green' }, { team: 'a\nb' }, 5, { team: 5 }]) {
      const attributes = { environment: '', owner: '', labels };
      const forged = { ...first, detail: { ...first.detail, attributes } };
      expect(readOperation(forged, schema, createKnownAttributes())).toBe('cut');
    }
  });
});
