/**
 * `npm run demo [-- --exit] [-- --json]`: a guided tour of the whole product on a real PostgreSQL. Each step shows what happens and checks
 * it. With `--exit` it ends after the tour, with 0 when every step held; `--json` prints one line `{ "step", "ok", … }` for each.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { createStage, type Stage } from './demo/stage.ts';
import { createTeller } from './demo/teller.ts';
import { tour } from './demo/tour.ts';

const flags = new Set(process.argv.slice(2));
const unknown = [...flags].find((flag) => !['--exit', '--json'].includes(flag));
if (unknown !== undefined) {
  process.stderr.write(`the demo knows --exit and --json, not ${unknown}\n`);
  process.exit(64);
}
const teller = createTeller({ json: flags.has('--json') });
const stopped = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopped.abort());
// Whoever reads no further, as `head` does, has seen enough.
process.stdout.on('error', () => stopped.abort());
process.stderr.on('error', () => {});

let stage: Stage | undefined;
try {
  teller.title('A process without a password reads a database, and the record proves it');
  stage = await teller.step('boot', 'A real PostgreSQL, and server, agent and gateway in one process', () =>
    createStage(),
  );
  for (const { name, title, run } of tour(stage)) {
    if (stopped.signal.aborted) break;
    await teller.step(name, title, run);
  }
  if (!flags.has('--exit') && !stopped.signal.aborted) {
    teller.invite(stage);
    await delay(2 ** 31 - 1, undefined, { signal: stopped.signal }).catch(() => {}); // Ctrl-C ends the wait.
  }
} catch (error) {
  teller.failed(error, stage);
  process.exitCode = 1;
} finally {
  await stage?.close();
}
