import { expect, it } from 'vitest';
import { createManualClock } from '../../std/index.ts';
import { createTellRefusal } from './refusals.ts';

it('of each kind of refusal there is a line in ten seconds, and the next one counts those between', async () => {
  const clock = createManualClock(0);
  const lines: string[] = [];
  const tell = createTellRefusal({ clock, warn: (line) => lines.push(line) });
  for (let times = 0; times < 1000; times++) tell('user', 'no');
  tell('gone', 'where');
  expect(lines).toEqual(['countersign: no', 'countersign: where']);
  await clock.advance(9_999);
  tell('user', 'no');
  await clock.advance(1);
  tell('user', 'no');
  tell('gone', 'where');
  expect(lines.slice(2)).toEqual(['countersign: no (and 1000 more before it)', 'countersign: where']);
});
