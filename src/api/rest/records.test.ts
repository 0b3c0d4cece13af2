import { afterEach, beforeEach, expect, it } from 'vitest';
import { ORIGIN, testLog } from '../../records/testing/log-fixture.ts';
import { startTestRest } from '../testing/test-rest.ts';

// Goal: the record is found over REST as it is by the command, page by page, each entry by its id, and as it comes.

type TestRest = Awaited<ReturnType<typeof startTestRest>>;

let server: TestRest;
beforeEach(async () => {
  server = await startTestRest();
  const log = testLog(5);
  const { origin, verifierKey } = log;
  const shipment = await server.records.open({ origin, verifierKey, owner: 'spiffe://example.org/gateway' });
  await shipment.take(log.batch(0, 5, 0));
});
afterEach(() => server.stop());

const positions = (json: Record<string, unknown>) =>
  (json['items'] as { position: number }[]).map(({ position }) => position);

it('entries are found, newest first, and the next page by its cursor alone', async () => {
  const first = await server.ask({ path: '/v1/records?target=db&limit=3' });
  expect(first.status, first.text).toBe(200);
  expect(positions(first.json)).toEqual([4, 3, 2]);
  const next = await server.ask({ path: `/v1/records?target=db&limit=3&cursor=${first.json['next']}` });
  expect(positions(next.json)).toEqual([1, 0]);
  expect(next.json['next']).toBeUndefined();
  expect(await server.ask({ path: `/v1/records?cursor=${first.json['next']}` })).toMatchObject({ status: 400 });
});

it('one entry is shown by its id, and one that is not there is told', async () => {
  const { json } = await server.ask({ path: '/v1/records/1/2' });
  expect(json).toMatchObject({ log: 1, position: 2, entry: { seq: 2, target: 'db' } });
  expect((await server.ask({ path: '/v1/records/1/99' })).status).toBe(404);
  expect((await server.ask({ path: '/v1/records?log=x' })).status).toBe(400);
});

it('entries that come are events, from behind the one that was seen last', async () => {
  const answer = await server.open({ path: '/v1/record-events?target=db', headers: { 'last-event-id': '1.3' } });
  expect(answer.statusCode).toBe(200);
  let text = '';
  for await (const chunk of answer) {
    text += chunk;
    if (text.includes('id: 1.5')) break;
  }
  expect(Array.from(text.matchAll(/^id: (.*)$/gm), ([, id]) => id)).toEqual(['1.4', '1.5']);
  expect(text).toContain('"position":3');
});

it('what is nobody’s cursor leads to no event, and is not taken for the beginning', async () => {
  const answer = await server.open({ path: '/v1/record-events', headers: { 'last-event-id': ORIGIN } });
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk);
  expect(Buffer.concat(chunks).toString()).not.toContain('position');
});
