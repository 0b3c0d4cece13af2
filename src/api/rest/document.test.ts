import { fromBinary } from '@bufbuild/protobuf';
import { SessionsQuestionSchema } from '@countersign/sdk/contract/gen/countersign/control/v1/sessions_pb.ts';
import fc from 'fast-check';
import { Value } from 'typebox/value';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { endpoints } from '../../app/endpoint-registry.generated.ts';
import { askedHold } from '../../approval/testing/asked.ts';
import { openApiDocument } from '../../endpoint/index.ts';
import { matchesSession } from '../../model/index.ts';
import { testLog } from '../../records/testing/log-fixture.ts';
import { sha256 } from '../../std/index.ts';
import { connectGateway, holding, type SessionAnswer, session } from '../testing/session-gateway.ts';
import { startTestRest, type TestAnswer, type TestRest } from '../testing/test-rest.ts';

// Goal: whatever is asked of any operation of the document, the answer is one that the document has: its status, its type, its shape; and the server
// never fails.

let server: TestRest;
const over = new AbortController();
let passing: NodeJS.Timeout;
let signIn = '';
let revocation = '';
let exported = '';
let approval = { id: '', digest: '' };
beforeAll(async () => {
  // Rates are another test's.
  server = await startTestRest({ rest: { admission: { burst: 1e6 } } });
  const targets = ['a', 'b', 'c'].map((name) => ({ kind: 'Target', name, spec: { protocol: 'http' } }));
  const resources = [
    ...targets,
    { kind: 'ApprovalRule', name: 'a', spec: {} },
    { kind: 'Policy', name: 'a', spec: { cedar: 'permit(principal, action, resource);' } },
  ];
  await connectGateway(server, { name: 'one', answer: HELD, signal: over.signal });
  const person = {
    issuer: 'spiffe://example.org/spire/server',
    subject: 'link',
    email: undefined,
    groups: [],
    byLink: true,
  };
  signIn = (await server.persons.signIns.begin({ person, kind: 'browser', address: '127.0.0.1' })).signIn.id;
  const subject = { kind: 'identity', spiffeId: 'spiffe://example.org/w' } as const;
  const held = { subject, mode: 'quarantined', allow: [], running: 'keep', reason: '' } as const;
  revocation = (await server.revocations.add(held, 'admin')).id;
  server.rules.push({ name: 'careful', approvers: [], count: 1, forMs: 10 * 86_400_000 });
  // A gateway that is not there is waited for.
  passing = setInterval(() => void server.clock.advance(1_000), 2);
  const entries = [{ id: 'web', spiffeId: 'spiffe://example.org/web', selectors: ['unix:uid:1'] }];
  await server.ask({ method: 'POST', path: '/v1/apply', body: { resources, entries } });
  const log = testLog(3);
  const { origin, verifierKey } = log;
  const shipment = await server.records.open({ origin, verifierKey, owner: 'spiffe://example.org/g' });
  await shipment.take(log.batch(0, 3, 0));
});
afterAll(async () => {
  clearInterval(passing);
  over.abort();
  await server.stop();
});

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly { readonly name: string; readonly in: 'path' | 'query' | 'header' }[];
  readonly requestBody?: { readonly content: { readonly 'application/json': { readonly schema: object } } };
  readonly responses: Readonly<
    Record<string, { readonly content?: Record<string, { schema: object }>; $ref?: string }>
  >;
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: { readonly Problem: object } };
}

/** It has one session. */
const HELD: SessionAnswer = (question) => {
  const asked =
    question.kind === 'sessions.list' ? fromBinary(SessionsQuestionSchema, question.body).filter : undefined;
  const isFound = asked === undefined || matchesSession(asked, { node: '', ...session() });
  return isFound ? holding(session())(question) : holding()(question);
};

/** The id of the gateway that there is. */
const ONE = { gatewaySpiffeId: 'spiffe://example.org/countersign/gateway/one', gatewayAddress: 'one:7443' };
const END = JSON.stringify({ sessions: [{ id: 'abc1', ...ONE }] });
const REVOKE = JSON.stringify({
  subject: { kind: 'node', nodeId: 'spiffe://example.org/spire/agent/n' },
  mode: 'revoked',
});
const HOLD = '{"name":"b","reason":"claim","filter":{}}';
const GATEWAY = sha256(Buffer.from('spiffe://example.org/countersign/gateway/one one:7443'))
  .toString('hex')
  .slice(0, 16);

/** Texts that are often taken for something else, and some that are right. */
const text = fc.oneof(
  { arbitrary: fc.constantFrom(GATEWAY, 'a', 'web'), weight: 2 },
  fc.constantFrom(
    'a',
    'b',
    '',
    '0',
    '-1',
    '1',
    '1001',
    '1e3',
    'true',
    'null',
    '%',
    '../..',
    '\u0000',
    '💥',
    '"r1"',
    '*',
    'W/"r1"',
  ),
  fc.string({ maxLength: 40 }),
  fc.string({ minLength: 250, maxLength: 300 }),
);
const anything = fc.oneof({ depthSize: 'small' }, fc.jsonValue({ maxDepth: 3 }), text, fc.integer(), fc.boolean());

/** A body by its schema, in which now and then something is otherwise. */
function bodyOf(schema: Record<string, unknown>): fc.Arbitrary<unknown> {
  const wrong = { arbitrary: anything, weight: 1 };
  const of = (right: fc.Arbitrary<unknown>) => fc.oneof({ arbitrary: right, weight: 6 }, wrong);
  if (Array.isArray(schema['enum'])) return of(fc.constantFrom(...schema['enum']));
  switch (schema['type']) {
    case 'string':
      return of(text);
    case 'integer':
      return of(fc.integer({ min: 0 }));
    case 'boolean':
      return of(fc.boolean());
    case 'array':
      return of(fc.array(bodyOf(schema['items'] as Record<string, unknown>), { maxLength: 3 }));
    case 'object': {
      const properties = Object.entries((schema['properties'] ?? {}) as Record<string, Record<string, unknown>>);
      const fields = Object.fromEntries(
        properties.map(([name, inner]) => [name, fc.option(bodyOf(inner), { nil: undefined })]),
      );
      return of(fc.record(fields, { requiredKeys: [] }));
    }
    default:
      return anything;
  }
}

/** Headers hold no characters beyond Latin-1, and no controls: clients refuse to send them. */
const headerText = text.map((value) => value.replaceAll(/[^\x20-\x7e]/g, '?').trim());

function requestOf(path: string, method: string, { parameters = [], requestBody }: Operation) {
  const given = fc.record(
    Object.fromEntries(
      parameters.map(({ name, in: at }) => [name, fc.option(at === 'header' ? headerText : text, { nil: undefined })]),
    ),
  );
  const body =
    requestBody === undefined
      ? fc.constant(undefined)
      : bodyOf(requestBody.content['application/json'].schema as Record<string, unknown>);
  return fc.tuple(given, body, text).map(([values, sent, stray]) => {
    const segment = (name: string) => values[name] ?? 'a';
    const filled = path.replaceAll(/\{([^}]*)\}/g, (_, name: string) =>
      encodeURIComponent(segment(name).toWellFormed()),
    );
    const query = new URLSearchParams();
    for (const { name, in: at } of parameters)
      if (at === 'query' && values[name] !== undefined) query.append(name, values[name]);
    if (stray.length > 290) query.append(stray.slice(0, 5), stray);
    const headers = Object.fromEntries(
      parameters.flatMap(({ name, in: at }) =>
        at === 'header' && values[name] !== undefined ? [[name, values[name]]] : [],
      ),
    );
    const asked = `${filled}?${query}`;
    return { method, path: asked, headers, ...(sent === undefined ? {} : { body: JSON.stringify(sent) }) };
  });
}

/** An operation that the gateway `one` holds. */
async function hold() {
  const spiffeId = 'spiffe://example.org/countersign/gateway/one';
  const asked = askedHold({ gateway: spiffeId, target: 'a', untilMs: server.clock.now() + 10 * 86_400_000 });
  const held = await server.approvals.hold({ spiffeId, address: 'one:7443', instance: 'one' }, asked);
  return { id: held.id, digest: asked.digest };
}

/** One that is answered with what was asked for. */
function rightRequest(path: string, method: string, { requestBody }: Operation) {
  const id = path.includes('gateways')
    ? GATEWAY
    : path.includes('entries')
      ? 'web'
      : path.includes('record-exports')
        ? exported
        : path.includes('records')
          ? '1'
          : path.includes('sessions')
            ? 'abc1'
            : path.includes('approvals')
              ? approval.id
              : path.includes('sign-ins')
                ? signIn
                : path.includes('revocations')
                  ? revocation
                  : 'a';
  const text = path.endsWith('end-sessions')
    ? END
    : path.endsWith('/answer')
      ? JSON.stringify({ digest: approval.digest, answer: 'deny' })
      : path.endsWith('/revocations')
        ? REVOKE
        : path.endsWith('/record-holds')
          ? HOLD
          : /access(-check)?$/.test(path)
            ? '{"useDefault":true}'
            : '{}';
  const body = requestBody === undefined ? {} : { body: text };
  const named = path.includes('approvals') ? path.replace('{target}', 'a') : path;
  return { method, path: named.replaceAll(/\{[^}]*\}/g, id), headers: {}, ...body };
}

function check(document: Document, operation: Operation, answer: TestAnswer): void {
  const documented = operation.responses[answer.status];
  expect(documented, `${answer.status} ${answer.text.slice(0, 300)}`).toBeDefined();
  expect(answer.status, answer.text).toBeLessThan(500);
  if (answer.status === 304) {
    expect(answer.text).toBe('');
    return;
  }
  const isDone = answer.status === 200;
  expect(answer.headers['content-type']).toContain(isDone ? 'application/json' : 'application/problem+json');
  const schema = isDone ? documented?.content?.['application/json']?.schema : document.components.schemas.Problem;
  expect(Value.Check((schema ?? {}) as never, answer.json), answer.text).toBe(true);
}

describe('every answer', () => {
  const document: Document = JSON.parse(JSON.stringify(openApiDocument(endpoints)));
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(
      ([method, operation]) => [operation.operationId, { path, method: method.toUpperCase(), operation }] as const,
    ),
  );

  // Last what may take away what the others look at.
  const ordered = operations
    .filter(([name]) => !endpoints.some((endpoint) => endpoint.live && endpoint.name === name))
    .toSorted(([a], [b]) => Number(a === 'resource.apply') - Number(b === 'resource.apply'));

  it.each(ordered)('of %s is one of the document', async (_, { path, method, operation }) => {
    const seen = new Set<number>();
    // Of many the oldest go.
    const begun = await server.ask({ method: 'POST', path: '/v1/record-exports', body: {} });
    exported = String(begun.json['id']);
    await server.ask({ method: 'POST', path: '/v1/record-holds', body: { ...JSON.parse(HOLD), name: 'a' } });
    if (path.includes('approvals')) approval = await hold();
    const right = rightRequest(path, method, operation);
    await fc.assert(
      fc.asyncProperty(requestOf(path, method, operation), async (request) => {
        const answer = await server.ask(request);
        seen.add(answer.status);
        check(document, operation, answer);
      }),
      { numRuns: 100, examples: [[right], [{ ...right, path: `${right.path}?stray=1` }]] },
    );
    // Beside other work a gateway may be slower than the clock here lets it be.
    for (let tries = 0; tries < 50 && !seen.has(200); tries++) seen.add((await server.ask(right)).status);
    // Of those that take something some were right, and some were not.
    expect(seen).toContain(200);
    if (operation.parameters !== undefined) expect(seen.size).toBeGreaterThan(1);
  });
});
