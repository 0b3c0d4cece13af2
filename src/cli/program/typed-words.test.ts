import { describe, expect, it } from 'vitest';
import { commands } from '../commands.generated.ts';
import { asksForJson, typedWords } from './typed-words.ts';

// Goal: what is ours is understood wherever it stands before the words of another program, and none of those is ever taken for ours.

/** The two halves of a line, as in `own | handed on`. */
function cut(line: string): string {
  const { own, handedOn } = typedWords(line === '' ? [] : line.split(' '), commands);
  return `${own.join(' ')} | ${handedOn.join(' ')}`;
}

describe('words of connect', () => {
  it.each([
    ['connect', 'connect | '],
    ['connect shop', 'connect shop | '],
    ['connect shop --print', 'connect shop --print | '],
    ['connect --print --json shop', 'connect --print --json shop | '],
    ['connect shop --help', 'connect shop --help | '],
    ['connect --targets-dir /run/a shop --json', 'connect --targets-dir /run/a shop --json | '],
    ['--config a.yaml connect shop --json -- -c x', '--config a.yaml connect shop --json | -c x'],
    ['connect -- --help', 'connect | --help'],
    ['connect --target shop -- -c x -- y', 'connect --target shop | -c x -- y'],
  ])('%s', (line, halves) => {
    expect(cut(line)).toBe(halves);
  });

  it('begin without a -- where more words follow than are ours', () => {
    expect(cut('connect shop db --json')).toBe('connect shop | db --json');
    expect(cut('connect shop db -- x')).toBe('connect shop | db -- x');
  });

  it('that nobody knows stay ours, to be refused', () => {
    expect(cut('connect shop -c')).toBe('connect shop -c | ');
    expect(cut('connect --prnt shop')).toBe('connect --prnt shop | ');
  });
});

describe('words of run', () => {
  it.each([
    ['run', 'run | '],
    ['run --json', 'run --json | '],
    ['run node app.js --json', 'run | node app.js --json'],
    ['run --json node app.js', 'run --json | node app.js'],
    ['run -- node app.js', 'run | node app.js'],
    ['run shop -- node app.js --help', 'run shop | node app.js --help'],
    ['run shop --json -- node app.js', 'run shop --json | node app.js'],
    ['run --target shop sh -c x', 'run --target shop | sh -c x'],
    ['run git checkout -- file', 'run | git checkout -- file'],
    ['run shop --prnt -- node', 'run shop --prnt | node'],
  ])('%s', (line, halves) => {
    expect(cut(line)).toBe(halves);
  });
});

it('words of all other commands are ours, all of them', () => {
  expect(cut('')).toBe(' | ');
  expect(cut('ledger tail -n 3')).toBe('ledger tail -n 3 | ');
  expect(cut('entry show -- -x')).toBe('entry show -- -x | ');
});

it('help of a command is asked for before it too', () => {
  expect(cut('help')).toBe('--help | ');
  expect(cut('--json help ledger tail')).toBe('--json ledger tail --help | ');
  expect(cut('help connect')).toBe('connect --help | ');
  expect(cut('policy show help')).toBe('policy show help | ');
});

it('help of what there is not is not given: the word is refused', () => {
  expect(cut('nonsense --help')).toBe('nonsense | ');
  expect(cut('help ledger tial')).toBe('ledger tial | ');
  expect(cut('ledger -h')).toBe('ledger -h | ');
  expect(cut('ledger show 4 --help')).toBe('ledger show 4 --help | ');
});

it('--json is ours before the words of another program, and theirs among them', () => {
  const asks = (line: string) => asksForJson(typedWords(line.split(' '), commands));
  expect(['connect shop --json', '--json run -- x', 'policy --json'].map(asks)).toEqual([true, true, true]);
  expect(['connect shop -- --json', 'run node --json', 'entry show -- --json'].map(asks)).toEqual([
    false,
    false,
    false,
  ]);
});
