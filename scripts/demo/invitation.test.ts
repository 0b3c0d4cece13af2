import { describe, expect, it } from 'vitest';
import { commands } from '../../src/cli/commands.generated.ts';
import { invitation } from './invitation.ts';

const directory = '/tmp/countersign-demo-AbCdEf';
const place = {
  ...{ directory, command: `${directory}/cs`, targetSocketDir: `${directory}/home/run/targets/shop`, hasPsql: true },
};
const byProgram = { node: `${directory}/client-node`, script: '/home/somebody/countersign/scripts/demo/client.ts' };

describe.each([{ uid: 12001 }, byProgram])('the last words of the demo, with orders as %j', (orders) => {
  const lines = invitation({ ...place, orders });

  it('fit 80 columns behind their indent', () => {
    expect(lines.filter((line) => line.length > 77)).toEqual([]);
  });

  it('name commands that there are, and those for questions about policies', () => {
    const named = lines.flatMap((line) => /^cs ([a-z]+(?: [a-z-]+)?)/.exec(line)?.[1] ?? []);
    const names = commands.map(({ name }) => name);
    for (const words of named) expect(names, words).toContain(names.includes(words) ? words : words.split(' ')[0]);
    expect(named).toEqual(expect.arrayContaining(['policy who-can', 'policy explain', 'policy log']));
  });

  it('say where the policies are, and how to be the service orders', () => {
    expect(lines.join('\n')).toContain(`${directory}/resources/shop.cedar`);
    const [, after = ''] = lines.join('\n').split('be the service orders');
    expect(after).toContain(
      'uid' in orders ? `setpriv --reuid 12001 --clear-groups \\\n  ${directory}/cs connect shop` : byProgram.node,
    );
  });
});
