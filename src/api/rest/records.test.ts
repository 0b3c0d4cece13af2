import type { IncomingMessage } from 'node:http';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ORIGIN, testLog } from '../../records/testing/log-fixture.ts';
import { startTestRest } from '../testing/test-rest.ts';

// Goal: the record is found over REST as it is by the command, page by page, each entry by its id, and as it comes.

type TestRest = Awaited<ReturnType<typeof startTestRest>>;

const OWNER = 'spiffe://example.org/gateway';
let server: TestRest;
beforeEach(async () => {
  server = await startTestRest();
  const log = testLog(5);
  const shipment = await server.records.open({ ...log, owner: OWNER });
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

/** What is told until so many positions are: each with its id. */
async function told(answer: IncomingMessage, count: number): Promise<[id: string, position: number][]> {
  let text = '';
  for await (const chunk of answer) {
    text += chunk;
    const found = Array.from(text.matchAll(/^id: (.*)\n.*\ndata: .*"position":(\d+).*\n\n/gm));
    if (found.length >= count) return found.map(([, id = '', position]) => [id, Number(position)]);
  }
  throw new Error(`the stream has ended: ${text}`);
}

it('entries that come are events, from behind the one that was seen last', async () => {
  const answer = await server.open({ path: '/v1/record-events?target=db' });
  expect(answer.statusCode).toBe(200);
  const log = testLog(9);
  await (await server.records.open({ ...log, owner: OWNER })).take(log.batch(5, 9, 5));
  const telling = told(answer, 4);
  await server.clock.advance(500);
  const seen = await telling;
  expect(seen.map(([, position]) => position)).toEqual([5, 6, 7, 8]);
  const again = await server.open({
    path: '/v1/record-events?target=db',
    headers: { 'last-event-id': seen[1]?.[0] ?? '' },
  });
  expect(await told(again, 2)).toEqual(seen.slice(2));
});

it.each([
  ORIGIN,
  '1.3',
  '0123456789abcdef.0-0123456789abcdef.1-1.3',
  'x'.repeat(200),
])('what is nobody’s cursor is refused before anything is told: %s', async (id) => {
  const answer = await server.ask({ path: '/v1/record-events', headers: { 'last-event-id': id } });
  expect(answer.headers['content-type']).toContain('application/problem+json');
  expect(answer.status).toBe(400);
});
