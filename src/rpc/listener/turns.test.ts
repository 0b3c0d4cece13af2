import { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createTurns, whenSpoken } from './turns.ts';

// Goal: however much strangers ask for at once, whoever is known waits for one piece of it at most, and no source waits for all of another's.

function begin() {
  const due: (() => void)[] = [];
  const turns = createTurns((run) => void due.push(run));
  const done: string[] = [];
  const ask = (name: string, source: string) => turns.wait(source, () => void done.push(name));
  /** Lets so many turns of the event loop end; what was done in them. */
  const turn = (count = 1) => {
    for (let n = 0; n < count; n++) for (const run of due.splice(0)) run();
    return done.splice(0);
  };
  return { turns, ask, done, turn };
}

describe('turns', () => {
  it('do one thing in each turn of the event loop', () => {
    const { ask, turn } = begin();
    for (const name of ['first', 'second', 'third']) ask(name, 'a');
    expect([turn(), turn(), turn(), turn()]).toEqual([['first'], ['second'], ['third'], []]);
  });

  it('give each source its own after the others, however many wait of one', () => {
    const { ask, turn } = begin();
    for (let n = 0; n < 100; n++) ask(`a${n}`, 'a');
    for (const [name, source] of ['b0 b', 'c0 c', 'b1 b'].map((text) => text.split(' '))) ask(name ?? '', source ?? '');
    expect(turn(6)).toEqual(['a0', 'b0', 'c0', 'a1', 'b1', 'a2']);
  });

  it('do nothing in a turn in which somebody came, but for every ninth', () => {
    const { turns, ask, turn } = begin();
    for (const name of ['first', 'second', 'third']) ask(name, 'a');
    const busyTurns = (count: number) =>
      Array.from({ length: count }, () => {
        turns.came();
        return turn();
      }).flat();
    expect(busyTurns(8)).toEqual([]);
    expect(busyTurns(1)).toEqual(['first']);
    expect(busyTurns(3)).toEqual([]);
    expect([turn(), turn()]).toEqual([['second'], ['third']]);
  });

  it('do not do what was taken back', () => {
    const { ask, turn } = begin();
    const takeBack = ask('first', 'a');
    ask('second', 'a');
    ask('third', 'b')();
    takeBack();
    expect(turn(3)).toEqual(['second']);
  });
});

describe('a peer that is to handshake', () => {
  async function speak(words: string) {
    const { turns, done, turn } = begin();
    const socket = new Duplex({ read() {}, write() {} });
    whenSpoken(socket, turns, { source: 'a', go: () => void done.push(socket.destroyed ? 'gone' : 'go') });
    socket.push(words === '' ? null : words);
    const later = () => new Promise((resolve) => setImmediate(resolve));
    await later();
    return { socket, turn, later };
  }

  it('goes in its turn, what it said being in the socket', async () => {
    const { socket, turn } = await speak('hello');
    expect([turn(), turn()]).toEqual([['go'], []]);
    expect(String(socket.read())).toBe('hello');
  });

  it('takes no turn when it is gone, which is told at once', async () => {
    const { socket, turn, later } = await speak('hello');
    socket.destroy();
    await later();
    expect(turn()).toEqual(['gone']);
  });

  it('is hung up on when it ends without a word', async () => {
    const { socket, turn, later } = await speak('');
    await later();
    expect(socket.destroyed).toBe(true);
    expect(turn()).toEqual(['gone']);
  });
});
