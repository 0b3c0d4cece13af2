/**
 * The gateway for PostgreSQL beside pgbouncer: `npm run bench -- gateway-postgres [--quick] [--json] [--only CASE,…]`.
 *
 * Policy, one set of masks and the ledger are on. Ways to the database: `direct`; `pgbouncer` (session mode, no TLS); `pgbouncer-tls`
 * (TLS and a client certificate, the peer of all goals); `gateway` (mutual TLS with an SVID); `agent` (through the agent's socket). Behind
 * all of them is the same PostgreSQL without TLS. Cases, for `--only`:
 *
 * - `simple`, `prepared`: a read by key of pgbench, by 1, 8 and 32 clients; or one of them, such as `prepared-8`.
 * - `bulk` (rows unmasked), `wide` (three of ten columns masked by us), `copy-out`, `copy-in`: one client that only counts bytes.
 * - `durability`: reads that wait for the disk, against one fdatasync in the same folder.
 * - `memory`: in a large read, and per idle session.
 *
 * Needs Debian's `pgbouncer` and `pgbench`. Run as root, the roles have users of their own, and pgbouncer as well.
 *
 * The roles let nobody open Node's debugger by a signal, so a gateway is profiled from its start: `node --cpu-prof --cpu-prof-dir=DIR
 * bin/countersign.js gateway …` writes the file when it ends by SIGTERM; DIR must belong to the gateway's user.
 */
import { existsSync } from 'node:fs';
import { pgbenchBinary, startBed } from './gateway/bed.ts';
import { durability } from './gateway/durability.ts';
import { memory } from './gateway/memory.ts';
import { transactions, wantedTransactions } from './gateway/transactions.ts';
import { transfers, wantedTransfers } from './gateway/transfers.ts';
import type { Bench } from './harness.ts';

export const bench: Bench = {
  name: 'gateway-postgres',
  summary: 'the gateway for PostgreSQL, with policy, masks and ledger, against pgbouncer with TLS',
  heavy: true,
  async run(context) {
    pgbenchBinary();
    if (!existsSync('/usr/sbin/pgbouncer')) throw new Error('pgbouncer is missing: apt-get install pgbouncer');
    const cases = [...wantedTransactions(context), ...wantedTransfers(context)];
    if (cases.length === 0 && !context.wants('durability') && !context.wants('memory'))
      throw new Error('no such case; the head of bench/gateway-postgres.ts lists them');
    const needsBulk = wantedTransfers(context).length > 0 || context.wants('memory');
    const bed = await startBed({ bulkRows: !needsBulk ? 1 : context.quick ? BULK_ROWS_QUICK : BULK_ROWS });
    try {
      return [
        ...(await transactions(bed, context)),
        ...(await transfers(bed, context)),
        ...(await durability(bed, context)),
        ...(await memory(bed, context)),
      ];
    } catch (error) {
      context.say(bed.stack.roles.gateway.logs().slice(-LOG_SHOWN));
      throw error;
    } finally {
      await bed.stop();
    }
  },
};

const LOG_SHOWN = 2000;
const BULK_ROWS = 1_000_000;
const BULK_ROWS_QUICK = 200_000;
