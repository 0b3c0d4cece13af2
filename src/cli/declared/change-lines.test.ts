import { expect, it } from 'vitest';
import { changeLines } from './change-lines.ts';

// Goal: what becomes of a policy is read line by line as it is written, in plans and in the log.

const LONG = `permit(principal, action, resource) when { ${'context.hasWhere && '.repeat(6)}true };`;

it('the text of a policy that is new or gone stands there whole, line by line', () => {
  const differences = ['cedar +1: @id("reads")', `cedar +2: ${LONG}`, 'cedar +3: ', 'cedar +4:   principal,'];
  expect(changeLines({ kind: 'Policy', action: 'create', differences }, '  ')).toEqual([
    '  + @id("reads")',
    `  + ${LONG}`,
    '  +',
    '  +   principal,',
  ]);
  const gone = { kind: 'Policy', action: 'delete', differences: ['cedar -1: @id("reads")'] };
  expect(changeLines(gone, '')).toEqual(['- @id("reads")']);
});

it('lines that changed keep their numbers', () => {
  const differences = ['cedar -2: @mask("a:b")', 'cedar +2: @mask("a:c")', '… and 3 more differences'];
  expect(changeLines({ kind: 'Policy', action: 'update', differences }, '')).toEqual([
    '-2: @mask("a:b")',
    '+2: @mask("a:c")',
    '… and 3 more differences',
  ]);
});

it('of anything else lines are no longer than a terminal', () => {
  const [text = ''] = changeLines(
    { kind: 'Entry', action: 'update', differences: [`parentId: "${'x'.repeat(60)}" → "${'y'.repeat(60)}"`] },
    '     ',
  );
  expect(text.split('\n').map((line) => line.length <= 80)).toEqual([true, true]);
});
