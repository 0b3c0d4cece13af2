/** A gateway in a container of 512 MiB: a memory group of the kernel's, where this user may make one. */
import { accessSync, constants, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { startStack } from '../support/stack.ts';

const GROUPS = '/sys/fs/cgroup/memory';
const MIB = 2 ** 20;
/** `PAIRS=250` takes two minutes. */
const PAIRS = Number(process.env['PAIRS'] ?? 20);
const FILLERS = `grant create on schema public to shop_app; do $$ begin for i in 1 .. 1700 loop
  execute 'create table filler_' || i || ' (id int primary key, email text, note text)'; end loop; end $$`;

it.runIf(mayMakeGroups())(
  'tables come and go beside 1,700 others in a container of 512 MiB, and the gateway goes on',
  async () => {
    using container = createContainer(512);
    await using stack = await startStack({ seed: FILLERS });
    const { gateway } = stack.roles;
    await gateway.end('SIGTERM');
    container.within(() => gateway.start());
    await gateway.ready(60_000);
    await eventually('it serves', async () => (await stack.psql('select 1')).code === 0);
    for (let n = 0; n < PAIRS; n++) {
      const pair = `create table t_${n} (id int, note text); insert into t_${n} values (1, 'x'); select * from t_${n}; drop table t_${n};`;
      expect(await stack.psql(pair)).toMatchObject({ code: 0, stderr: '' });
    }
    expect(gateway.exitCode).toBeUndefined();
    expect(container.mostMib()).toBeLessThan(256);
  },
);

function mayMakeGroups(): boolean {
  try {
    accessSync(GROUPS, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function createContainer(mib: number) {
  const directory = `${GROUPS}/countersign-${process.pid}`;
  const own = /^\d+:memory:(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '/';
  const enter = (group: string) => writeFileSync(`${group}/cgroup.procs`, String(process.pid));
  mkdirSync(directory);
  writeFileSync(`${directory}/memory.limit_in_bytes`, String(mib * MIB));
  return {
    /** Processes that `start` starts live in it. */
    within(start: () => void) {
      enter(directory);
      start();
      enter(`${GROUPS}${own}`);
    },
    mostMib: () => Number(readFileSync(`${directory}/memory.max_usage_in_bytes`, 'utf8')) / MIB,
    [Symbol.dispose]: () => rmdirSync(directory),
  };
}
