// @ts-check
// Lists, follows and ends a session with types that are generated from the document of the API, and the client that goes with them.
import createClient from 'openapi-fetch';

/** @import { paths } from './target/api.d.ts' */

/** @type {ReturnType<typeof createClient<paths>>} */
const client = createClient({ baseUrl: process.env.API_URL ?? '' });
const query = { target: process.env.TARGET ?? '' };

const listed = await client.GET('/v1/sessions', { params: { query } });
if (listed.error !== undefined) throw new Error(`listed: ${listed.error.code} ${listed.error.detail}`);
const [one] = listed.data.sessions;
if (one === undefined) throw new Error('listed: no session');

const events = await client.GET('/v1/session-events', { params: { query }, parseAs: 'stream' });
if (events.error !== undefined) throw new Error(`followed: ${events.error.code}`);
const counts = tell(/** @type {ReadableStream<Uint8Array>} */ (events.response.body ?? events.data));
const first = (await counts.next()).value;
if (first !== 1) throw new Error(`followed: ${first} sessions`);

const { id, gatewaySpiffeId, gatewayAddress } = one;
const ended = await client.POST('/v1/end-sessions', {
  body: { sessions: [{ id, gatewaySpiffeId, gatewayAddress }], reason: 'shown by a client of TypeScript' },
});
if (ended.error !== undefined) throw new Error(`ended: ${ended.error.code} ${ended.error.detail}`);
if (ended.data.ended[0]?.id !== id) throw new Error('ended: not the one that was named');
for await (const count of counts) if (count === 0) break;
process.stdout.write('listed, followed, ended\n');
process.exit(0);

/**
 * How many sessions each event tells of.
 * @param {ReadableStream<Uint8Array>} body
 * @returns {AsyncGenerator<number, void>}
 */
async function* tell(body) {
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of body) {
    const lines = (text + decoder.decode(chunk, { stream: true })).split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) if (line.startsWith('data: ')) yield JSON.parse(line.slice(6)).sessions.length;
  }
}
