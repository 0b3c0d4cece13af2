/** The ledger's volume runs full: operations are refused with a clear message, nothing passes unrecorded, nothing acknowledged is lost, and all goes on once there is room. */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codeOf } from '../../src/std/index.ts';
import { eventually } from '../support/eventually.ts';
import { expectCondition, expectWell } from '../support/health.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { stackUsers } from '../support/stack-folder.ts';
import { agentWay } from '../support/ways.ts';

let stack: Stack;
let volume: string;
const mountable = stackUsers().separate && mountVolume();

describe.skipIf(!mountable && process.env['CI'] !== 'true')(
  'a ledger volume of 24 MiB (needs root, to mount one)',
  () => {
    beforeAll(async () => {
      expect(mountable, 'a tmpfs can be mounted').toBe(true);
      const gatewayData = path.join(volume, 'data');
      fs.mkdirSync(gatewayData, { mode: 0o700 });
      fs.chownSync(gatewayData, stackUsers().gateway ?? 0, stackUsers().gateway ?? 0);
      stack = await startStack({ store: 'sqlite', seed: SEED, policies: { recorded: RECORDED }, gatewayData });
    });
    afterAll(async () => {
      await stack?.stop();
      if (volume) spawnSync('umount', ['-l', volume]);
      if (volume) fs.rmdirSync(volume);
    });

    // The tests are one story: each begins where the one before ended.
    let acknowledged = 0;

    it('refuses with 53100 when it is full, and the connection stays usable', async () => {
      fill();
      await using client = await open();
      let refusal: pg.DatabaseError | undefined;
      while (refusal === undefined && acknowledged < 10_000) {
        await client.query(insert(acknowledged)).then(
          () => {
            acknowledged += 1;
          },
          (error: pg.DatabaseError) => {
            refusal = error;
          },
        );
      }
      expect(refusal).toMatchObject({ code: '53100', severity: 'ERROR' });
      expect(refusal?.message).toMatch(/ledger is full/);
      expect(acknowledged).toBeGreaterThan(0);
      for (let round = 0; round < 3; round++)
        await expect(client.query(insert(-1))).rejects.toMatchObject({ code: '53100' });
      await expectAcknowledged();
    });

    it('is named by /ready, metric, doctor and log', async () => {
      const found = /^the ledger is full \(ENOSPC.*\): nothing is executed until there is room$/;
      await expectCondition(stack, 'gateway', { condition: 'ledger', severity: 'failed', found });
      expect((await stack.roles.gateway.readiness()).status).toBe(503);
    });

    it('lets nothing pass after a restart either', async () => {
      await stack.roles.gateway.end('SIGKILL');
      stack.roles.gateway.start();
      const answer = await eventually('an answer', async () => {
        if (stack.roles.gateway.exitCode !== undefined) return 'ended';
        // Where nothing could be signed since the start, not even a session begins.
        const refusal = (error: pg.DatabaseError) => (error.code === '53100' ? '53100' : Promise.reject(error));
        return await open().then(async (client) => {
          await using opened = client;
          return await opened.query(insert(-1)).then(() => 'done', refusal);
        }, refusal);
      });
      expect(['ended', '53100']).toContain(answer);
      await expectAcknowledged();
    });

    it('goes on once there is room, with all that was acknowledged', async () => {
      fs.rmSync(filler());
      // One more segment of 16 MiB has to fit.
      expect(spawnSync('mount', ['-o', 'remount,size=64m', volume]).status).toBe(0);
      stack.roles.gateway.start(); // Nothing happens when it runs.
      await stack.roles.gateway.ready();
      await expectWell(stack, 'gateway', 'ledger');
      await eventually('an insert', async () => {
        await using client = await open();
        return await client.query(insert(acknowledged));
      });
      acknowledged += 1;
      await expectAcknowledged();
      const verified = await stack.cli(['ledger', 'verify', '--json'], { user: stack.users.gateway });
      expect(JSON.parse(verified.stdout)).toMatchObject({ ok: true });
    });

    /** The rows in the target are the acknowledged ones, and each has its intent. */
    async function expectAcknowledged(): Promise<void> {
      expect(await stack.dba('select count(*)::int as n from kept')).toEqual([{ n: acknowledged }]);
      const entries = await stack.ledger();
      const intents = entries.filter(({ kind, action }) => kind === 'intent' && action === 'postgres:insert');
      expect(intents).toHaveLength(acknowledged);
    }
  },
);

function filler(): string {
  return path.join(volume, 'filler');
}

/** Takes what room there is but for a little, while the gateway goes on writing. */
function fill(): void {
  const file = fs.openSync(filler(), 'w');
  const piece = Buffer.alloc(64 * 1024);
  try {
    for (let room = Number.POSITIVE_INFINITY; room > piece.length; ) {
      fs.writeSync(file, piece);
      const { bavail, bsize } = fs.statfsSync(volume);
      room = bavail * bsize;
    }
  } catch (error) {
    if (codeOf(error) !== 'ENOSPC') throw error;
  } finally {
    fs.closeSync(file);
  }
}

/** The text is recorded in full, up to 8 KiB of it: about 1,900 of them fill a segment of 16 MiB. */
function insert(value: number): string {
  return `insert into kept values (${value}) /* ${'x'.repeat(8000)} */`;
}

async function open(): Promise<pg.Client & AsyncDisposable> {
  const client = await agentWay(stack).connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}

function mountVolume(): boolean {
  volume = fs.mkdtempSync(path.join(os.tmpdir(), 'cs-full-'));
  fs.chmodSync(volume, 0o755);
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=24m,mode=755', 'tmpfs', volume]).status === 0;
  if (!mounted) fs.rmdirSync(volume);
  return mounted;
}

const SEED = 'create table kept (n int); grant all on kept to shop_app;';
const RECORDED = `@id("web-recorded")
@record("full")
permit(principal == Identity::"spiffe://example.org/web", action in Action::"postgres:any", resource in Target::"shop");`;
