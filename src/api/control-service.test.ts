import { Agent, Control, Entry } from '@countersign/sdk/contract';
import { GatewayState } from '@countersign/sdk/contract/gen/countersign/control/v1/control_pb.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Code, type RpcClient, type TlsIdentity } from '../rpc/index.ts';
import { agentsOf, idOf } from './testing/agents.ts';
import { startTestServer, type TestServer } from './testing/test-server.ts';

// Goal: agents and gateways learn of changes at once, and only as long as they are who they were.

let server: TestServer;
let operator: RpcClient;
let agents: ReturnType<typeof agentsOf>;
const options = { signal: new AbortController().signal };

beforeEach(async () => {
  server = await startTestServer();
  operator = server.operator();
  agents = agentsOf(server);
});
afterEach(() => server.stop());

const db = { kind: 'Target', name: 'orders', specJson: '{"protocol":"postgres","host":"db1"}' };
const policy = { kind: 'Policy', name: 'all', specJson: '{"cedar":"permit(principal, action, resource);"}' };

describe('applying resources', () => {
  it('shows the plan, then does it, then finds nothing to do', async () => {
    const plan = await operator.unary(Control.method.apply, { dryRun: true, resources: [db, policy] }, options);
    expect(plan.changes.map(({ action, kind, name }) => `${action} ${kind}/${name}`).toSorted()).toEqual([
      'create Policy/all',
      'create Target/orders',
    ]);
    expect(await operator.unary(Control.method.listResources, {}, options)).toMatchObject({ resources: [] });
    expect(server.ledger).toEqual([]);
    const done = await operator.unary(Control.method.apply, { resources: [db, policy] }, options);
    expect(done.revision).toBeGreaterThan(plan.revision);
    const again = await operator.unary(Control.method.apply, { resources: [db, policy] }, options);
    expect(again.changes.map(({ action }) => action)).toEqual(['unchanged', 'unchanged']);
    const { resources } = await operator.unary(Control.method.listResources, { kind: 'Target' }, options);
    expect(resources.map(({ specJson }) => JSON.parse(specJson))).toEqual([{ protocol: 'postgres', host: 'db1' }]);
    expect(server.ledger.map(({ detail }) => detail['changes'])).toContainEqual(
      expect.arrayContaining(['create Target/orders']),
    );
  });

  it('changes and removes with a word on each difference', async () => {
    await operator.unary(Control.method.apply, { resources: [db, policy] }, options);
    const moved = { ...db, specJson: '{"protocol":"postgres","host":"db2"}' };
    const { changes } = await operator.unary(Control.method.apply, { resources: [moved], prune: true }, options);
    expect(changes.map(({ action, name }) => `${action} ${name}`).toSorted()).toEqual(['delete all', 'update orders']);
    expect(changes.find(({ name }) => name === 'orders')?.differences.join()).toMatch(/db1.*db2/);
  });

  it('deletes what is named, and nothing of what somebody else changed meanwhile', async () => {
    await operator.unary(Control.method.apply, { resources: [db, policy] }, options);
    const { revision } = await operator.unary(Control.method.listResources, { kind: 'Policy' }, options);
    const remove = [{ kind: 'Policy', name: 'all' }];
    const late = { remove, ifRevision: revision - 1n };
    for (const dryRun of [true, false])
      await expect(operator.unary(Control.method.apply, { ...late, dryRun }, options)).rejects.toMatchObject({
        code: Code.FAILED_PRECONDITION,
      });
    const { changes } = await operator.unary(Control.method.apply, { remove, ifRevision: revision }, options);
    expect(changes.map(({ action, kind, name }) => `${action} ${kind}/${name}`)).toEqual(['delete Policy/all']);
    expect(server.ledger.at(-1)?.detail).toMatchObject({ step: 'done', changes: ['delete Policy/all'] });
    expect(server.ledger.at(-2)?.detail).toMatchObject({ step: 'request', names: ['Policy/all'] });
  });

  it.each([
    ['another kind', { ...db, kind: 'Entry' }],
    ['no JSON', { ...db, specJson: '{' }],
    ['no object', { ...db, specJson: '[]' }],
    ['what its own check refuses', { ...db, specJson: '{"protocol":"postgres","wrong":1}' }],
  ])('refuses %s, and then everything', async (_name, bad) => {
    const call = operator.unary(Control.method.apply, { resources: [policy, bad] }, options);
    await expect(call).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
    expect((await operator.unary(Control.method.listResources, {}, options)).resources).toEqual([]);
  });

  it('is for operators', async () => {
    for (const identity of [undefined, await agents.join(), await server.identify('/countersign/gateway/g1')]) {
      const call = server.client(identity).unary(Control.method.apply, {}, options);
      await expect(call).rejects.toMatchObject({ code: Code.PERMISSION_DENIED });
    }
  });
});

// Goal: whoever applies a folder finds all of it at the server or nothing, whatever others do meanwhile.
describe('applying entries with resources', () => {
  const ID = { trustDomain: 'example.org', path: '/spire/server' };
  const entry = (id: string, more: object = {}) => ({
    id,
    spiffeId: { trustDomain: 'example.org', path: `/${id}` },
    parentId: ID,
    selectors: [{ type: 'unix', value: `user:${id}` }],
    ...more,
  });
  const bad = entry('bad', { federatesWith: ['unknown.test'] });
  const apply = (entries: object[], more: object = {}) =>
    operator.unary(Control.method.apply, { resources: [db, policy], entries, ...more }, options);
  const present = async () => {
    const { entries } = await operator.unary(Entry.method.listEntries, {}, options);
    const { resources } = await operator.unary(Control.method.listResources, {}, options);
    return [...entries.map(({ id, hint }) => `${id} ${hint}`.trim()), ...resources.map(({ name }) => name)].toSorted();
  };

  it('makes what is missing, changes what is there, and shows it to agents at once', async () => {
    await operator.unary(Entry.method.batchCreateEntry, { entries: [entry('one')] }, options);
    const agent = await agents.join();
    const mine = { parentId: idOf(agent) };
    await apply([entry('one', { hint: 'new', ...mine }), entry('two', mine)]);
    expect(await present()).toEqual(['all', 'one new', 'orders', 'two']);
    const issued = await server.client(agent).unary(Entry.method.getAuthorizedEntries, {}, options);
    expect(issued.entries.map(({ id }) => id)).toEqual(['one', 'two']);
    await apply([entry('one', { hint: 'newer', ...mine }), entry('two', mine)]);
    expect(await present()).toEqual(['all', 'one newer', 'orders', 'two']);
    expect(server.ledger.map(({ detail }) => detail['names'])).toContainEqual(
      expect.arrayContaining(['Target/orders', 'Entry/two']),
    );
    expect(server.ledger.at(-1)?.detail).toMatchObject({
      step: 'done',
      changes: expect.arrayContaining(['write Entry/one', 'write Entry/two']),
    });
  });

  it('is recorded with what became of policies, line by line, as far as there is room', async () => {
    const done = () => server.ledger.at(-1)?.detail;
    const declare = (cedar: string) =>
      operator.unary(
        Control.method.apply,
        { resources: [{ kind: 'Policy', name: 'p', specJson: JSON.stringify({ cedar }) }] },
        options,
      );
    await declare('// one\n// two');
    expect(done()).toMatchObject({
      step: 'done',
      changes: ['create Policy/p'],
      differences: ['p: cedar +1: // one', 'p: cedar +2: // two'],
    });
    await declare('// one\n// three');
    expect(done()).toMatchObject({
      changes: ['update Policy/p'],
      differences: ['p: cedar -2: // two', 'p: cedar +2: // three'],
    });
    const long = (word: string) =>
      Array.from({ length: 150 }, (_, line) => `// ${word} ${line} ${'x'.repeat(100)}\n// ${line}`).join('\n');
    await declare(long('a'));
    await declare(long('b'));
    const { differences } = done() as { differences: string[] };
    expect(differences.at(-1)).toMatch(/^… and \d+ more lines$/);
    expect(Buffer.byteLength(differences.join(''))).toBeLessThan(17 * 1024);
  });

  it('is refused by the dry run for what the act would be refused for, and the dry run keeps nothing', async () => {
    await expect(apply([entry('good'), bad], { dryRun: true })).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: expect.stringMatching(/^nothing was applied:\nEntry\/bad: .*unknown\.test/),
    });
    await apply([entry('good')], { dryRun: true });
    expect(await present()).toEqual([]);
    expect(server.ledger).toEqual([]);
  });

  it('keeps nothing at all when one entry is refused, and can be done again once it is put right', async () => {
    await expect(apply([entry('good'), bad])).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
    expect(await present()).toEqual([]);
    expect(server.ledger.at(-1)?.detail).toMatchObject({ step: 'failed' });
    await apply([entry('good'), { ...bad, federatesWith: [] }]);
    expect(await present()).toEqual(['all', 'bad', 'good', 'orders']);
  });

  it.each([
    [
      'made one of them under another id',
      () => operator.unary(Entry.method.batchCreateEntry, { entries: [entry('two', { id: 'theirs' })] }, options),
      ['theirs'],
    ],
    [
      'made both under other ids',
      async () => {
        await operator.unary(Entry.method.batchCreateEntry, { entries: [entry('one', { id: 'x' })] }, options);
        await operator.unary(Entry.method.batchCreateEntry, { entries: [entry('two', { id: 'y' })] }, options);
      },
      ['x', 'y'],
    ],
  ])('keeps nothing when somebody, after the dry run, %s', async (_, meanwhile, left) => {
    const entries = [entry('one'), entry('two')];
    await apply(entries, { dryRun: true });
    await meanwhile();
    await expect(apply(entries)).rejects.toMatchObject({ message: expect.stringContaining('nothing was applied') });
    expect(await present()).toEqual(left);
  });

  it('makes it as declared when somebody, after the dry run, made or deleted an entry of that id', async () => {
    await operator.unary(Entry.method.batchCreateEntry, { entries: [entry('gone')] }, options);
    const entries = [entry('gone', { hint: 'a' }), entry('come', { hint: 'b' })];
    await apply(entries, { dryRun: true });
    await operator.unary(Entry.method.batchDeleteEntry, { ids: ['gone'] }, options);
    await operator.unary(Entry.method.batchCreateEntry, { entries: [entry('come')] }, options);
    await apply(entries);
    expect(await present()).toEqual(['all', 'come b', 'gone a', 'orders']);
  });

  it('is whole, one or the other, when two apply at once, beside who writes entries', async () => {
    const of = (hint: string) => Array.from({ length: 40 }, (_, index) => entry(`e${index}`, { hint }));
    const churn = Array.from({ length: 20 }, (_, index) =>
      operator.unary(Entry.method.batchCreateEntry, { entries: [entry(`other${index}`)] }, options),
    );
    await Promise.all([apply(of('first')), apply(of('second')), ...churn]);
    const { entries } = await operator.unary(Entry.method.listEntries, {}, options);
    const declared = entries.filter(({ id }) => id.startsWith('e'));
    expect(declared).toHaveLength(40);
    expect(new Set(declared.map(({ hint }) => hint)).size).toBe(1);
    expect(entries).toHaveLength(60);
  });

  it('takes no entry without an id, nor more than fit a transaction', async () => {
    await expect(apply([entry('')])).rejects.toMatchObject({ message: 'a declared entry has an id' });
    const many = Array.from({ length: 20_001 }, (_, index) => ({ id: `${index}` }));
    await expect(apply(many)).rejects.toMatchObject({ message: expect.stringContaining('allowed are 20000') });
    expect(await present()).toEqual([]);
  });
});

describe('a gateway', () => {
  const watch = (identity: TlsIdentity, advertise = 'gw.example.org:7443', signal = options.signal) =>
    server
      .client(identity)
      .serverStream(Control.method.watchGateway, { advertise }, { signal })
      [Symbol.asyncIterator]();

  it('gets everything at once and at each change, and is listed while it watches', async () => {
    await operator.unary(Control.method.apply, { resources: [db, policy] }, options);
    const updates = watch(await server.identify('/countersign/gateway/g1'));
    const first = (await updates.next()).value;
    expect(first?.targets).toMatchObject([{ name: 'orders', protocol: 'postgres', specJson: '{"host":"db1"}' }]);
    expect(first?.policies).toMatchObject([{ name: 'all', text: 'permit(principal, action, resource);' }]);
    const listed = await operator.unary(Control.method.listGateways, {}, options);
    const gateway = { spiffeId: 'spiffe://example.org/countersign/gateway/g1', address: 'gw.example.org:7443' };
    expect(listed.gateways).toMatchObject([{ ...gateway, connected: true, since: 1_800_000_000n }]);
    await operator.unary(Control.method.apply, { resources: [db], prune: true }, options);
    const second = (await updates.next()).value;
    expect(second?.policies).toEqual([]);
    expect(second?.revision).toBeGreaterThan(first?.revision ?? 0n);
    await updates.return?.();
    await expect
      .poll(async () => (await operator.unary(Control.method.listGateways, {}, options)).gateways)
      .toMatchObject([{ ...gateway, connected: false }]);
  });

  it('is told what identities are to policies before policies, and then by difference, when it asks for that', async () => {
    const web = { trustDomain: 'example.org', path: '/web' };
    const entry = (hint: string) => ({
      ...{ id: 'web', spiffeId: web, parentId: { ...web, path: '/spire/server' }, hint },
      selectors: [{ type: 'unix', value: 'user:web' }],
    });
    const said = { owner: 'ops', environment: '', labels: [{ name: 'team', value: 'red' }] };
    const apply = (hint: string, attributes: object | undefined) =>
      operator.unary(
        Control.method.apply,
        {
          ...{ resources: [db, policy], entries: [entry(hint)] },
          entryAttributes: attributes === undefined ? [] : [{ entryId: 'web', attributes }],
        },
        options,
      );
    await apply('', said);
    const updates = server
      .client(await server.identify('/countersign/gateway/g1'))
      .serverStream(Control.method.watchGateway, { advertise: 'gw:1', principals: true }, options)
      [Symbol.asyncIterator]();
    const principals = (await updates.next()).value?.principals;
    expect(principals).toMatchObject({ whole: true, more: false });
    expect(principals?.principals).toMatchObject([{ spiffeId: 'spiffe://example.org/web', attributes: said }]);
    const snapshot = (await updates.next()).value;
    expect([snapshot?.principals, snapshot?.policies.length]).toEqual([undefined, 1]);
    // Nothing is said of them, so they stay, as by an update of SPIRE's own.
    await apply('new', undefined);
    await operator.unary(Entry.method.batchUpdateEntry, { entries: [entry('newer')] }, options);
    const listed = () => operator.unary(Control.method.listEntryAttributes, { entryIds: ['web', 'none'] }, options);
    expect((await listed()).attributes).toMatchObject([{ entryId: 'web', attributes: said }]);
    await apply('newest', {});
    const next = (await updates.next()).value;
    expect(next?.principals).toMatchObject({ whole: false, principals: [{ spiffeId: 'spiffe://example.org/web' }] });
    expect([next?.principals?.principals[0]?.attributes, next?.policies]).toEqual([undefined, []]);
    expect((await listed()).attributes).toEqual([]);
  });

  it.each([
    ['a label twice', { labels: ['a', 'b'].map((value) => ({ name: 'team', value })) }, /a label is given twice/],
    ['a label called __proto__', { labels: [{ name: '__proto__', value: 'x' }] }, /no name of a label/],
    ['an escape', { owner: '\u001b[2J' }, /owner is one line/],
    ['too much', { owner: 'x'.repeat(100_000) }, /100000 characters, allowed are 256/],
  ])('is never told of %s: no entry can say so', async (_, attributes, message) => {
    const id = { trustDomain: 'example.org', path: '/web' };
    const entry = { spiffeId: id, parentId: { ...id, path: '/spire/server' }, selectors: [{ type: 'a', value: 'b' }] };
    const made = operator.unary(Control.method.createEntry, { entry, attributes }, options);
    await expect(made).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT, message: expect.stringMatching(message) });
    const { entry: good } = await operator.unary(
      Control.method.createEntry,
      { entry, attributes: { owner: 'ops' } },
      options,
    );
    expect(good?.id).not.toBe('');
  });

  it('that reconnects before its old stream ended stays connected', async () => {
    const identity = await server.identify('/countersign/gateway/g1');
    const [old, next] = [watch(identity), watch(identity)];
    await Promise.all([old.next(), next.next()]);
    await old.return?.();
    await operator.unary(Control.method.apply, { resources: [db] }, options);
    await next.next();
    const { gateways } = await operator.unary(Control.method.listGateways, {}, options);
    expect(gateways).toMatchObject([{ connected: true }]);
    await next.return?.();
    await expect
      .poll(async () => (await operator.unary(Control.method.listGateways, {}, options)).gateways)
      .toMatchObject([{ connected: false }]);
  });

  it('must have the SVID of one and an address that can be reached', async () => {
    for (const path of ['/countersign/gatewayish', '/countersign', '/workload']) {
      const stranger = watch(await server.identify(path));
      await expect(stranger.next()).rejects.toMatchObject({ code: Code.PERMISSION_DENIED });
    }
    const identity = await server.identify('/countersign/gateway');
    for (const advertise of ['', 'gw', 'gw:0', 'gw:65536', 'gw:1:2', 'a b:1', 'http://gw:1', ':1']) {
      await expect(watch(identity, advertise).next()).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
    }
    await watch(identity, '[::1]:7443').next();
  });

  const FINDING = { condition: 'masks', severity: 'degraded', what: 'target orders', found: 'no ssn', remedy: 'Mend.' };
  const report = (identity: TlsIdentity | undefined, more: object = {}) =>
    server
      .client(identity)
      .unary(
        Control.method.reportGateway,
        { advertise: 'gw.example.org:7443', revision: 3n, findings: [FINDING], ...more },
        options,
      );

  it('says what it took and what is wrong with it, and operators see that', async () => {
    const identity = await server.identify('/countersign/gateway/g1');
    await watch(identity).next();
    await report(identity);
    const { gateways } = await operator.unary(Control.method.listGateways, {}, options);
    expect(gateways).toMatchObject([{ connected: true, revision: 3n, findings: [FINDING], findingsLeftOut: false }]);
  });

  it('is told to agents from when it serves until it leaves, and hears how many others are', async () => {
    const agent = server.client(await agents.join());
    await operator.unary(Control.method.apply, { resources: [db] }, options);
    const updates = agent.serverStream(Control.method.watchNode, {}, options)[Symbol.asyncIterator]();
    const told = async () => {
      await server.clock.advance(250);
      return (await updates.next()).value?.targets[0]?.gateways.map(({ address }: { address: string }) => address);
    };
    expect(await told()).toEqual([]);
    const [g1, g2] = [
      await server.identify('/countersign/gateway/g1'),
      await server.identify('/countersign/gateway/g2'),
    ];
    const begin = (identity: TlsIdentity, advertise: string, state: GatewayState) =>
      server
        .client(identity)
        .serverStream(Control.method.watchGateway, { advertise, state }, options)
        [Symbol.asyncIterator]()
        .next();
    await begin(g1, 'gw1:1', GatewayState.STARTING);
    await begin(g2, 'gw2:1', GatewayState.SERVING);
    // One that starts is no news to agents.
    expect(await told()).toEqual(['gw2:1']);
    const say = async (state: GatewayState) => (await report(g1, { advertise: 'gw1:1', findings: [], state })).others;
    expect(await say(GatewayState.SERVING)).toBe(1);
    expect(await told()).toEqual(['gw1:1', 'gw2:1']);
    expect(await say(GatewayState.LEAVING)).toBe(1);
    expect(await told()).toEqual(['gw2:1']);
    const { gateways } = await operator.unary(Control.method.listGateways, {}, options);
    expect(gateways).toMatchObject([
      { connected: true, state: GatewayState.LEAVING },
      { connected: true, state: GatewayState.SERVING },
    ]);
  });

  it('has it said of its address by no other process of its identity, and counts as another one where that one leaves', async () => {
    const identity = await server.identify('/countersign/gateway/g1');
    const begin = (instance: string, state: GatewayState) =>
      server
        .client(identity)
        .serverStream(Control.method.watchGateway, { advertise: 'gw:1', instance, state }, options)
        [Symbol.asyncIterator]()
        .next();
    const say = (more: object) => report(identity, { advertise: 'gw:1', findings: [], ...more });
    const states = async () =>
      (await operator.unary(Control.method.listGateways, {}, options)).gateways.map(({ state }) => state);
    await begin('first', GatewayState.SERVING);
    await expect(say({ state: GatewayState.LEAVING })).rejects.toMatchObject({ code: Code.FAILED_PRECONDITION });
    await begin('second', GatewayState.SERVING);
    await begin('', GatewayState.SERVING);
    expect(await say({ instance: 'second', state: GatewayState.LEAVING })).toMatchObject({ others: 1 });
    expect(await say({ state: GatewayState.LEAVING })).toMatchObject({ others: 1 });
    expect(await states()).toEqual([GatewayState.LEAVING, GatewayState.SERVING, GatewayState.LEAVING]);
    await operator.unary(Control.method.apply, { resources: [db] }, options);
    const updates = server
      .client(await agents.join())
      .serverStream(Control.method.watchNode, {}, options)
      [Symbol.asyncIterator]();
    expect((await updates.next()).value?.targets[0]?.gateways).toMatchObject([{ address: 'gw:1' }]);
    expect(await say({ instance: 'first', state: GatewayState.LEAVING })).toMatchObject({ others: 0 });
    await server.clock.advance(250);
    expect((await updates.next()).value?.targets[0]?.gateways).toEqual([]);
  });

  it.each([
    'a b',
    'a\nb',
    '\u001b[2J',
    'é',
    'x'.repeat(65),
    'x'.repeat(1_000_000),
  ])('may not call itself %.20j', async (instance) => {
    const client = server.client(await server.identify('/countersign/gateway/g1'));
    const request = { advertise: 'gw:1', instance };
    const updates = client.serverStream(Control.method.watchGateway, request, options)[Symbol.asyncIterator]();
    await expect(updates.next()).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
    await expect(client.unary(Control.method.reportGateway, request, options)).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
    });
  });

  it('says it of itself alone: nobody else may, not for it either', async () => {
    await watch(await server.identify('/countersign/gateway/g1')).next();
    for (const stranger of [undefined, await agents.join(), await server.identify('/workload')])
      await expect(report(stranger)).rejects.toMatchObject({ code: Code.PERMISSION_DENIED });
    await expect(operator.unary(Control.method.reportGateway, {}, options)).rejects.toMatchObject({
      code: Code.PERMISSION_DENIED,
    });
    const other = report(await server.identify('/countersign/gateway/g2'));
    await expect(other).rejects.toMatchObject({ code: Code.FAILED_PRECONDITION });
    const { gateways } = await operator.unary(Control.method.listGateways, {}, options);
    expect(gateways).toMatchObject([{ revision: 0n, findings: [] }]);
  });

  it.each([
    ['too many findings', { findings: Array.from({ length: 21 }, () => FINDING) }],
    ['too long a text', { findings: [{ ...FINDING, found: 'x'.repeat(1001) }] }],
    ['too long a name', { findings: [{ ...FINDING, what: 'x'.repeat(201) }] }],
    ['a line that is another one', { findings: [{ ...FINDING, found: 'no ssn\napplied 1 change(s)' }] }],
    ['a terminal’s control characters', { findings: [{ ...FINDING, remedy: '\u001b[2J' }] }],
    ['a severity that is none', { findings: [{ ...FINDING, severity: 'fine' }] }],
    ['a revision that is none', { revision: 2n ** 53n }],
    ['an address that is none', { advertise: 'gw' }],
  ])('may not report %s', async (_, more) => {
    const identity = await server.identify('/countersign/gateway/g1');
    await watch(identity).next();
    await expect(report(identity, more)).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
  });

  it('is cut off within seconds when its SVID expires', async () => {
    const updates = watch(await server.identify('/countersign/gateway/g1'));
    await updates.next();
    const end = updates.next().catch((error: unknown) => error);
    server.clock.step(3_601_000);
    await server.clock.advance(5000);
    expect(await end).toMatchObject({ code: Code.PERMISSION_DENIED });
  });
});

describe('an agent that watches', () => {
  it('is told at once of entries, bundles, targets and gateways of its own, and of nothing else', async () => {
    const identity = await agents.join();
    const updates = server.client(identity).serverStream(Control.method.watchNode, {}, options)[Symbol.asyncIterator]();
    const first = (await updates.next()).value;
    expect(first?.targets).toEqual([]);
    await createEntry('spiffe://example.org/another-node');
    await createEntry(`spiffe://example.org${idOf(identity).path}`);
    const second = (await updates.next()).value;
    expect(second?.entriesRevision).toBeGreaterThan(first?.entriesRevision ?? 0n);
    await operator.unary(Control.method.apply, { resources: [db] }, options);
    const third = (await updates.next()).value;
    expect(third?.targets).toMatchObject([{ name: 'orders', protocol: 'postgres', gateways: [] }]);
    expect(third?.entriesRevision).toBe(second?.entriesRevision);
    const gateway = server.client(await server.identify('/countersign/gateway/g1'));
    const watch = gateway
      .serverStream(Control.method.watchGateway, { advertise: 'gw:1' }, options)
      [Symbol.asyncIterator]();
    await watch.next();
    await server.clock.advance(250);
    const fourth = (await updates.next()).value;
    expect(fourth?.targets[0]?.gateways).toMatchObject([
      { address: 'gw:1', spiffeId: 'spiffe://example.org/countersign/gateway/g1' },
    ]);
    await server.authority.prepare('x509', options.signal);
    const fifth = (await updates.next()).value;
    expect(fifth?.bundleSequence).toBeGreaterThan(first?.bundleSequence ?? 0n);
  });

  it('is told of some gateways where there are many, spread over all of them and over the nodes', async () => {
    const addresses = Array.from({ length: 41 }, (_, n) => `gw${n}:1`);
    const spiffeId = 'spiffe://example.org/countersign/gateway/g';
    for (const address of addresses) await server.resources.reportGateway({ spiffeId, address, connected: true });
    await operator.unary(Control.method.apply, { resources: [db] }, options);
    const told = new Set<string>();
    for (let node = 0; node < 12; node++) {
      const agent = server.client(await agents.join());
      const updates = agent.serverStream(Control.method.watchNode, {}, options)[Symbol.asyncIterator]();
      const own =
        (await updates.next()).value?.targets[0]?.gateways.map(({ address }: { address: string }) => address) ?? [];
      expect([own.length, new Set(own).size]).toEqual([8, 8]);
      for (const address of own) told.add(address);
    }
    expect(told.size).toBeGreaterThan(20);
  });

  it('is cut off within seconds when it is banned', async () => {
    const identity = await agents.join();
    const updates = server.client(identity).serverStream(Control.method.watchNode, {}, options)[Symbol.asyncIterator]();
    await updates.next();
    const end = updates.next().catch((error: unknown) => error);
    const id = idOf(identity);
    await operator.unary(Agent.method.banAgent, { id }, options);
    await server.clock.advance(5000);
    expect(await end).toMatchObject({ code: Code.PERMISSION_DENIED, message: 'the agent is banned' });
  });
});

async function createEntry(parentId: string): Promise<void> {
  const selectors = [{ type: 'unix', value: 'uid:1' }];
  const [result] = await server.registration.batchCreate([{ spiffeId: 'spiffe://example.org/w', parentId, selectors }]);
  expect(result?.status).toBe('ok');
}
