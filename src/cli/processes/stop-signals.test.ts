import { EventEmitter } from 'node:events';
import { expect, it } from 'vitest';
import { createManualClock } from '../../std/index.ts';
import { watchStopSignals } from './stop-signals.ts';

function setUp() {
  const clock = createManualClock(0);
  const heard: string[] = [];
  const process = Object.assign(new EventEmitter(), {
    pid: 7,
    kill: (pid: number, signal: string) => heard.push(`killed ${pid} ${signal}`) > 0,
  });
  const signals = watchStopSignals(process, clock, (signal) => heard.push(signal));
  return { clock, heard, signals, send: (signal: string) => process.emit(signal) };
}

it('the first signal is told', () => {
  const { heard, send } = setUp();
  send('SIGTERM');
  expect(heard).toEqual(['SIGTERM']);
});

it('one that comes by a launcher too, half a second later at most, is the same wish', async () => {
  const { clock, heard, send } = setUp();
  send('SIGTERM');
  await clock.advance(499);
  send('SIGTERM');
  send('SIGINT');
  expect(heard).toEqual(['SIGTERM']);
});

it.each(['SIGTERM', 'SIGINT'])('%s later on ends the process as that signal does by itself', async (later) => {
  const { clock, heard, send } = setUp();
  send('SIGTERM');
  await clock.advance(500);
  send(later);
  expect(heard).toEqual(['SIGTERM', `killed 7 ${later}`]);
  expect(send(later)).toBe(false);
});

it('where somebody waits for the next one, that one is told, and the one after ends the process', async () => {
  const { clock, heard, signals, send } = setUp();
  send('SIGTERM');
  signals.next(() => heard.push('hurry'));
  send('SIGTERM');
  await clock.advance(500);
  send('SIGTERM');
  expect(heard).toEqual(['SIGTERM', 'hurry']);
  send('SIGTERM');
  expect(heard).toEqual(['SIGTERM', 'hurry', 'killed 7 SIGTERM']);
});
