/** What it costs when reads wait for the disk: `release` (the answer waits) and `strict` (the statement waits). */
import type { BenchContext, BenchResult } from '../harness.ts';
import type { Bed, Durability } from './bed.ts';
import { rawSyncUs } from './disk-sync.ts';
import { createMeasures } from './measures.ts';
import { runPgbench } from './pgbench.ts';

export async function durability(bed: Bed, context: BenchContext): Promise<readonly BenchResult[]> {
  if (!context.wants('durability')) return [];
  const measures = createMeasures();
  const windowMs = context.quick ? 1000 : 2000;
  for (let round = 0; round < Math.min(context.rounds, ROUNDS_MAX); round++) {
    const modes = round % 2 === 0 ? MODES : MODES.toReversed();
    for (const clients of CLIENTS) {
      const direct = await runPgbench(bed, bed.subjects.direct, { mode: 'prepared', clients, windowMs });
      measures.note(`direct-${clients}`, 'direct', direct.p50Us);
    }
    for (const mode of modes) {
      context.say(`round ${round + 1}: durability ${mode}`);
      await bed.setDurability(mode);
      await runPgbench(bed, bed.subjects.gateway, { mode: 'prepared', clients: 8, windowMs: WARM_MS });
      for (const clients of CLIENTS) {
        const name = `durability-${mode}-${clients}`;
        const before = rawSyncUs(bed.stack.folder.data.gateway);
        const ran = await runPgbench(bed, bed.subjects.gateway, { mode: 'prepared', clients, windowMs });
        const after = rawSyncUs(bed.stack.folder.data.gateway);
        const direct = measures.rounds(`direct-${clients}`, 'direct').at(-1) ?? Number.NaN;
        measures.note(`${name} added p50`, 'gateway', ran.p50Us - direct);
        measures.note(`${name} added p50`, 'raw sync', (before + after) / 2);
        measures.note(`${name} p50`, 'gateway', ran.p50Us);
        measures.note(`${name} tps`, 'gateway', ran.tps);
      }
    }
    for (const mode of MODES.filter((one) => one !== 'process')) {
      for (const clients of CLIENTS) {
        const p50 = (of: Durability) =>
          measures.rounds(`durability-${of}-${clients} p50`, 'gateway').at(-1) ?? Number.NaN;
        measures.note(`durability-${mode}-${clients} p50 over process`, 'gateway', p50(mode) - p50('process'));
      }
    }
  }
  await bed.setDurability('process');
  return MODES.flatMap((mode) =>
    CLIENTS.flatMap((clients) => {
      const name = `durability-${mode}-${clients}`;
      // Of several clients, one comes while the sync of another runs, and needs the one behind it: that is more than one sync by nature.
      const goal = mode === 'process' || clients > 1 ? '' : '<= 1.3';
      return [
        ...measures.compare({ name: `${name} added p50`, subject: 'gateway', peer: 'raw sync', unit: 'us', goal }),
        ...measures.tell(`${name} p50 over process`, 'gateway', 'us'),
        ...measures.tell(`${name} p50`, 'gateway', 'us'),
        ...measures.tell(`${name} tps`, 'gateway', '/s'),
      ];
    }),
  );
}

const MODES: readonly Durability[] = ['process', 'release', 'strict'];
const CLIENTS = [1, 8] as const;
const WARM_MS = 2000;
const ROUNDS_MAX = 5;
