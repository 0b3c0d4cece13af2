/**
 * Roles that are started on what a year has left: nodes and gateways that came and went, a change feed that was pruned, entries that expired while
 * the server was away. `COUNTERSIGN_AGE=20` makes it as many times as large; how long each start took, and what it holds, is in the output then.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type Stack, type StackRole, startStack } from '../support/stack.ts';

const TIMES = Number(process.env['COUNTERSIGN_AGE'] ?? 1);
const NODES = 5_000 * TIMES;
const ENTRIES = 5_000 * TIMES;
const EXPIRED = 2_500 * TIMES;
const DAY_S = 86_400;
let stack: Stack;

/** Writes a year into the store of a server that is stopped. */
function makeOld(file: string): void {
  const db = new DatabaseSync(file);
  const nowS = Math.floor(Date.now() / 1000);
  const insert = (table: string, row: Readonly<Record<string, string | number>>) =>
    db
      .prepare(
        `insert into ${table} (${Object.keys(row).join()}) values (${Object.keys(row)
          .map(() => '?')
          .join()})`,
      )
      .run(...Object.values(row));
  db.exec('begin');
  for (let n = 0; n < NODES; n++) {
    insert('attestation_nodes', {
      id: `spiffe://example.org/spire/agent/join_token/past-${n}`,
      ...{ attestation_type: 'join_token', serial: `${n}`, not_after_s: nowS - 60 * DAY_S },
      ...{ new_serial: '', new_not_after_s: 0, selectors: '[]', reattestable: 0, agent_version: '' },
    });
    insert('attestation_tokens', { token_hash: `past-${n}`, expires_at_s: nowS - DAY_S, agent_id: '' });
  }
  for (let n = 0; n < ENTRIES + EXPIRED; n++)
    insert('registration_entries', {
      ...{
        id: `old-${n}`,
        spiffe_id: `spiffe://example.org/old/${n}`,
        parent_id: `spiffe://example.org/${n % 10 === 0 ? 'countersign/nodes' : 'elsewhere'}`,
      },
      ...{ selectors: `[{"type":"unix","value":"uid:${100_000 + n}"}]`, selectors_count: 1, federates_with: '[]' },
      ...{
        federates_count: 0,
        dns_names: '[]',
        x509_svid_ttl_s: 0,
        jwt_svid_ttl_s: 0,
        admin: 0,
        downstream: 0,
        store_svid: 0,
      },
      ...{
        hint: '',
        expires_at_s: n < EXPIRED ? nowS - DAY_S : 0,
        created_at_s: nowS - 300 * DAY_S,
        revision_number: 1_000,
      },
      likeness: `old-${n}`,
    });
  for (let n = 0; n < 9_000; n++)
    insert('resources_gateways', {
      ...{ spiffe_id: 'spiffe://example.org/countersign/gateway', address: `10.0.${n >> 8}.${n & 255}:7443` },
      ...{ connected: 0, since_ms: (nowS - 40 * DAY_S) * 1000, owner: 'past' },
    });
  // A million changes were made; of the last hundred thousand the log is kept.
  db.exec('delete from registration_changes');
  for (let n = 900_001; n <= 1_000_000; n += 20 / Math.min(TIMES, 20))
    insert('registration_changes', { revision: n, entry_id: `old-${n % ENTRIES}` });
  db.exec('update registration_state set revision = 1000000, pruned_through = 900000; commit');
  db.close();
}

/** Resident memory and processor time of a role. */
function costOf(role: StackRole): string {
  const status = readFileSync(`/proc/${role.pid}/status`, 'utf8');
  const [, , , , , , , , , , , , , user, system] = readFileSync(`/proc/${role.pid}/stat`, 'utf8').split(' ');
  const rss = Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024);
  return `${rss} MB, ${(Number(user) + Number(system)) / 100} s of processor time`;
}

describe('roles that are a year old', () => {
  beforeAll(async () => {
    stack = await startStack({ store: 'sqlite' });
    const { server, agent, gateway } = stack.roles;
    for (const role of [gateway, agent, server]) await role.end('SIGTERM');
    makeOld(join(stack.folder.data.server, 'countersign.sqlite'));
  });
  afterAll(() => stack.stop());

  it('start and serve', async () => {
    for (const name of ['server', 'agent', 'gateway'] as const) {
      const role = stack.roles[name];
      const startMs = performance.now();
      role.start();
      await role.ready(60_000);
      const tookMs = Math.round(performance.now() - startMs);
      if (TIMES > 1) process.stdout.write(`${name}: ready after ${tookMs} ms, ${costOf(role)}\n`);
    }
    const answer = await eventually('an answer', async () => {
      const finished = await stack.psql('select 1');
      return finished.code === 0 && finished;
    });
    expect(answer.stdout.trim()).toBe('1');
  });

  it('have deleted what expired meanwhile, and take what is new', async () => {
    const counted = async () => {
      const { stdout } = await stack.cli(['entry', 'list', '--json']);
      const entries: { id: string }[] = JSON.parse(stdout);
      return entries.filter(({ id }) => id.startsWith('old-')).length;
    };
    await eventually('the expired are gone', async () => (await counted()) === ENTRIES, {
      withinMs: 60_000,
      everyMs: 250,
    });
    const { code, stdout } = await stack.cli(['node', 'token', '--json']);
    expect([code, typeof JSON.parse(stdout).token]).toEqual([0, 'string']);
    const lines = stack.roles.server.logs().split('\n');
    expect(lines.filter((line) => line.includes('"level":"error"'))).toEqual([]);
  });

  // Its unit tests show the rule; here a minute passes.
  it.runIf(TIMES > 1)('forget the nodes that left, a minute after the start', async () => {
    const listed = async () => JSON.parse((await stack.cli(['node', 'list', '--json'])).stdout).length;
    await eventually('one node is left', async () => (await listed()) === 1, { withinMs: 100_000, everyMs: 2_000 });
    if (TIMES > 1) process.stdout.write(`server, later: ${costOf(stack.roles.server)}\n`);
  });
});
