/**
 * Sinks: what is done at a gateway is with a webhook at least once and in its order, though that is down, then up, and whichever of two servers hands
 * over is killed in the middle of it; what comes twice has the same id.
 */
import { createHmac } from 'node:crypto';
import * as fs from 'node:fs';
import * as http from 'node:http';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { createFurtherServer } from '../support/further-server.ts';
import { expectCondition } from '../support/health.ts';
import { freePorts } from '../support/processes.ts';
import { mayLackPsql } from '../support/psql.ts';
import { type Stack, type StackRole, startStack } from '../support/stack.ts';

interface Came {
  readonly uid: string;
  readonly sequence: number;
  readonly log: string;
  readonly text: string;
}

const KEY = Buffer.alloc(32, 9);
const SECRET = { SIEM_SECRET: `whsec_${KEY.toString('base64')}` };
/** All events in the order in which they came, those too whose request was never answered. */
const came: Came[] = [];
let forged = 0;
/** Called with each request that has something of a gateway, before it is answered. */
let whenAsked = (): void => {};
const siem = http.createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.concat(chunks);
    const { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': signature } = request.headers;
    const mac = createHmac('sha256', KEY).update(`${id}.${time}.`).update(body).digest('base64');
    if (signature !== `v1,${mac}`) forged += 1;
    const { data }: { data: { metadata: { uid: string; sequence: number; log_name: string } }[] } = JSON.parse(
      `${body}`,
    );
    for (const event of data) {
      const { uid, sequence, log_name: log } = event.metadata;
      came.push({ uid, sequence, log, text: JSON.stringify(event) });
    }
    if (data.some(({ metadata }) => metadata.log_name.includes('/gateway/'))) whenAsked();
    response.writeHead(204).end();
  });
});

let stack: Stack;
let second: StackRole;
let port: number;
beforeAll(async () => {
  [port = 0] = await freePorts(1);
  const webhook = { url: `http://localhost:${port}/in`, secret: 'env:SIEM_SECRET' };
  stack = await startStack({
    store: 'postgres',
    seed: 'create table kept (id text); grant all on kept to shop_app;',
    settings: { server: { sinks: { siem: { to: { webhook } }, archive: { to: { file: { path: 'events.jsonl' } } } } } },
    env: { server: SECRET },
  });
  // Agents and gateways are not told of it.
  second = (await createFurtherServer(stack, { name: 'server-2', env: SECRET })).role;
});
afterAll(async () => {
  siem.close();
  siem.closeAllConnections();
  await second?.end('SIGKILL');
  await stack?.stop();
});

const write = async (word: string) => {
  const { code, stderr } = await stack.psql(`insert into kept values ('${word}'); select * from kept;`);
  expect(code, stderr).toBe(0);
};
const ofGateway = () => came.filter(({ log }) => log.includes('/gateway/'));

/** Waits until all that the gateway has recorded so far came, and looks at all that ever came. */
async function expectAllCame(): Promise<void> {
  const entries = await stack.ledger();
  const has = () => new Set(ofGateway().map(({ sequence }) => sequence)).size >= entries.length;
  await eventually('all is there', has, { withinMs: 90_000 });
  for (const log of new Set(came.map((one) => one.log))) {
    const first = new Map<number, Came>();
    for (const one of came.filter((other) => other.log === log)) {
      const before = first.get(one.sequence);
      if (before === undefined) first.set(one.sequence, one);
      else expect({ uid: one.uid, text: one.text }).toEqual({ uid: before.uid, text: before.text });
    }
    // Each that came for the first time came behind the one before it.
    expect([...first.keys()]).toEqual(Array.from(first, (_, n) => n));
    expect(new Set(Array.from(first.values(), ({ uid }) => uid)).size).toBe(first.size);
  }
  const shown = ofGateway().map(({ text }) => JSON.parse(text).unmapped.countersign);
  const bySeq = new Map(shown.map((entry) => [entry.seq, entry]));
  for (const entry of entries) expect(bySeq.get(entry.seq)).toEqual(entry);
  expect(forged).toBe(0);
}

describe.skipIf(mayLackPsql())('a webhook', () => {
  it('that is down is named, and holds up nothing: not what is done, not the record, not the other sink', async () => {
    await write('down');
    await expectCondition(stack, 'server', {
      condition: 'sinks',
      severity: 'degraded',
      found: /^siem takes nothing: .*ECONNREFUSED/,
    });
    const archive = path.join(stack.folder.data.server, 'events.jsonl');
    await eventually('the other sink has it', () => fs.readFileSync(archive, 'utf8').includes('"class_uid":6003'));
    expect(fs.statSync(archive).mode & 0o777).toBe(0o600);
    expect(came).toEqual([]);
  });

  it('has all of it once it is up', async () => {
    await new Promise<void>((resolve) => {
      siem.listen(port, 'localhost', resolve);
    });
    await expectAllCame();
    await eventually('it is not named any more', async () => {
      const response = await fetch(`http://${stack.folder.http.server}/ready`);
      return !(await response.text()).includes('siem');
    });
  });

  it('has all of it when the server that hands over is killed before it was answered, and another goes on', async () => {
    second.start();
    await second.ready();
    const killed = new Promise<void>((resolve, reject) => {
      whenAsked = () => {
        whenAsked = () => {};
        stack.roles.server.end('SIGKILL').then(() => resolve(), reject);
      };
    });
    await write('killed');
    await killed;
    const before = ofGateway().length;
    // The gateway ships to the first alone: what it was told is there goes on by the second, what comes later waits for the first.
    await eventually('the second goes on', () => came.length > 0 && ofGateway().length > before, { withinMs: 60_000 });
    stack.roles.server.start();
    await stack.roles.server.ready();
    await write('back');
    await expectAllCame();
  });

  it('has all of it when the second is killed in turn, and the first goes on', async () => {
    const killed = new Promise<void>((resolve, reject) => {
      whenAsked = () => {
        whenAsked = () => {};
        second.end('SIGKILL').then(() => resolve(), reject);
      };
    });
    await write('again');
    await killed;
    for (let n = 0; n < 5; n++) await write(`more ${n}`);
    await expectAllCame();
  });
});
