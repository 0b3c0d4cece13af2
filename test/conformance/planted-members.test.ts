import { describe, expect, it } from 'vitest';
import type { LocalProtocol, LocalSession } from '../../src/model/index.ts';
import { type Flaw, linesFixture, linesLocal, linesPath, linesPolicySchema } from './lines-protocol.ts';
import { openBed } from './protocol-bed.ts';
import { checks } from './protocol-checks.ts';
import { offerChecks, withOffer } from './protocol-offer.ts';

// The suite of protocols is only worth what it sees: a member of another shape than SQL passes it, and with any one flaw it does not.

const offered = {
  ...{ local: linesLocal, path: linesPath(), policySchema: linesPolicySchema },
  fixture: linesFixture,
};

/** Runs one check on a member of its own; why it failed, undefined when it passed. */
async function failure(id: string, flaw?: Flaw): Promise<unknown> {
  const check = checks.find((one) => one.id === id);
  if (check === undefined) throw new Error(`there is no check ${id}`);
  const bed = await openBed(linesPath(flaw), linesFixture);
  try {
    await bed.until('told hello');
    // A member that breaks a promise may wait for ever; a good one is done long before.
    const late = AbortSignal.timeout(flaw === undefined ? 60_000 : 3_000);
    const aborted = new Promise((_, reject) =>
      late.addEventListener('abort', () => reject(new Error('it waits for ever'))),
    );
    await Promise.race([check.run(bed), aborted]);
    return undefined;
  } catch (error) {
    return error;
  } finally {
    await bed.close();
  }
}

describe('a member whose requests run side by side', () => {
  it.each(checks)('$promise', async ({ id }) => {
    expect(await failure(id)).toBeUndefined();
  });
});

describe('a member whose server speaks first', () => {
  it.each(offerChecks)('$promise', ({ run }) => withOffer(offered, run));
});

describe('the suite catches an agent’s half that', () => {
  const following = (place: ReturnType<LocalSession['place']>) => () => ({ saw() {}, place: () => place });
  it.each<[string, string, Partial<LocalProtocol>]>([
    ['waits for a client who waits for it', 'refused', { speaksFirst: 'client', opening: () => ({ step: 'more' }) }],
    ['has no words', 'refused', { refusal: () => Buffer.alloc(0) }],
    ['is never at rest', 'stopping', { follow: following('amid') }],
    ['is always at rest', 'amid', { follow: following('rest') }],
  ])('%s', async (_, id, flaw) => {
    const check = offerChecks.find((one) => one.id === id);
    const halves = { ...offered, local: { ...linesLocal, ...flaw }, patienceMs: 2_000 };
    await expect(withOffer(halves, async (offer) => check?.run(offer))).rejects.toThrow();
  });
});

/** Each flaw, with the check that is there for it. */
const PLANTED: Readonly<Record<Flaw, string>> = {
  'sends without an intent': 'intent first',
  'sends while the intent waits': 'intent first',
  'sends what the ledger refused': 'no ledger, no operation',
  'answers past the pipeline': 'outcome first',
  'answers when the intent is not on disk': 'release',
  'tells denials at once': 'denial on disk',
  'asks policy nothing': 'denied',
  'asks once for all requests': 'denied',
  'opens unasked': 'opened',
  'shows all items': 'limit',
  'shows all bytes': 'bytes out',
  'takes any size': 'bytes in',
  'stops nothing': 'duration',
  'asks for no rate': 'rate',
  'says done when it sends': 'ended amid',
  'reports no end': 'drain',
  'does not hear of its end': 'ends when told',
  'does not hear of its drain': 'drain',
  'drops what runs at its drain': 'drain',
  'leaves when its target does, without a word': 'target lost',
  'reads without a limit': 'back-pressure',
  'writes to who does not read': 'back-pressure of answers',
  'greets with its credential': 'secret',
  'logs its credential': 'secret',
  'forgets what was asked': 'questions',
  'keeps to itself what was said': 'content',
  'counts nothing': 'common names',
};

describe('the suite catches a member that', () => {
  it.each(Object.entries(PLANTED) as [Flaw, string][])('%s', async (flaw, id) => {
    expect(await failure(id, flaw)).toBeInstanceOf(Error);
  });
});
