/** The ledger's volume runs full: operations are refused with a clear message, nothing passes unrecorded, nothing acknowledged is lost, and all goes on once there is room. */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
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

    it('refuses with 53100 when full, keeps what it acknowledged, and goes on when there is room', async () => {
      const filler = path.join(volume, 'filler');
      const { bavail, bsize } = fs.statfsSync(volume);
      fs.writeFileSync(filler, Buffer.alloc(Math.max(0, bavail * bsize - 64 * 1024)));
      const client = await agentWay(stack).connect();
      let acknowledged = 0;
      let refusal: pg.DatabaseError | undefined;
      while (refusal === undefined && acknowledged < 10_000) {
        // The text is recorded in full, up to 8 KiB of it: about 1,900 of them fill a segment of 16 MiB.
        await client.query(`insert into kept values (${acknowledged}) /* ${'x'.repeat(8000)} */`).then(
          () => {
            acknowledged += 1;
          },
          (error: pg.DatabaseError) => {
            refusal = error;
          },
        );
      }
      expect(refusal).toMatchObject({ code: '53100', severity: 'ERROR' });
      expect(refusal?.message).toMatch(/ledger/);
      expect(acknowledged).toBeGreaterThan(0);

      // The connection is usable, and still nothing passes: neither a small write nor a read whose intent finds no room.
      for (let round = 0; round < 3; round++) {
        await expect(client.query(`insert into kept values (-1) /* ${'x'.repeat(8000)} */`)).rejects.toMatchObject({
          code: '53100',
        });
      }
      expect(await stack.dba('select count(*)::int as n from kept')).toEqual([{ n: acknowledged }]);
      const recorded = (await stack.ledger()).filter(
        ({ kind, action }) => kind === 'intent' && action === 'postgres:insert',
      );
      expect(recorded.length).toBe(acknowledged);

      const doctor = await stack.cli(['doctor'], { user: stack.users.gateway });
      expect(doctor.stdout).toMatch(/room for the ledger/);

      fs.rmSync(filler);
      await eventually('an insert', () => client.query('insert into kept values (100000)').then(() => true));
      await client.end();
      const verified = await stack.cli(['ledger', 'verify', '--json'], { user: stack.users.gateway });
      expect(JSON.parse(verified.stdout)).toMatchObject({ ok: true });
    });

    it('has the gateway started again on a full volume say so and refuse, and go on when there is room', async () => {
      const filler = path.join(volume, 'filler');
      const { bavail, bsize } = fs.statfsSync(volume);
      fs.writeFileSync(filler, Buffer.alloc(bavail * bsize));
      await stack.roles.gateway.end('SIGKILL');
      stack.roles.gateway.start();
      const before = await stack.dba('select count(*)::int as n from kept');
      const answer = await eventually('an answer', async () => {
        if (stack.roles.gateway.exitCode !== undefined) return 'ended';
        const client = await agentWay(stack).connect();
        return await client.query('insert into kept values (200000)').then(
          () => client.end().then(() => 'done'),
          (error: pg.DatabaseError) => client.end().then(() => error.code ?? ''),
        );
      });
      if (answer === 'done') return; // There was room left in a segment made before: that is no refusal to be had.
      expect(answer).toMatch(/^(ended|53100)$/);
      expect(await stack.dba('select count(*)::int as n from kept')).toEqual(before);
      expect(stack.roles.gateway.logs()).toMatch(/no room|space|full/i);
      fs.rmSync(filler);
      stack.roles.gateway.start();
      await stack.roles.gateway.ready();
      await eventually('an insert', async () => {
        const client = await agentWay(stack).connect();
        return client.query('insert into kept values (200000)').finally(() => client.end());
      });
    });
  },
);

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
