import type { Duplex } from 'node:stream';

/**
 * What strangers make us do, one piece of it in each turn of the event loop: their handshakes, each of which costs us a signature and them nothing,
 * and what they send, of which every hundred bytes can be a call. Many at once would have everybody wait until all of it is done; so those who are
 * known are served between any two pieces, and each source has its turn after the others.
 */
export interface Turns {
  /** To be called for each connection that comes: further ones may be waiting for the kernel to hand them over, one in a turn too. */
  came(): void;
  /** Calls `go` when it is the source's turn. What is returned takes it back. */
  wait(source: string, go: () => void): () => void;
}

/** Creates them. `endOfTurn` calls back when this turn of the event loop is over. */
export function createTurns(endOfTurn: (run: () => void) => void = setImmediate): Turns {
  const waiting = new Map<string, Set<() => void>>();
  let counting = false;
  let hasCome = false;
  let passed = 0;
  const next = () => {
    if (counting || waiting.size === 0) return;
    counting = true;
    endOfTurn(() => {
      counting = false;
      const passes = hasCome && passed < PASSED_MAX;
      hasCome = false;
      passed = passes ? passed + 1 : 0;
      if (!passes) goOne();
      next();
    });
  };
  const goOne = () => {
    for (const [source, its] of waiting) {
      waiting.delete(source);
      for (const go of its) {
        its.delete(go);
        if (its.size > 0) waiting.set(source, its); // Behind the others.
        return go();
      }
    }
  };
  return {
    came() {
      hasCome = true;
    },
    wait(source, go) {
      const one = () => go();
      const its = waiting.get(source) ?? new Set();
      waiting.set(source, its.add(one));
      next();
      return () => {
        if (its.delete(one) && its.size === 0) waiting.delete(source);
      };
    },
  };
}

/**
 * Calls `go` once: when the peer has spoken and its turn has come, what it said being in the socket again; or when it is gone, the socket being
 * destroyed. A peer that ends its side without a word is hung up on. Nothing else may read meanwhile.
 */
export function whenSpoken(socket: Duplex, turns: Turns, options: { source: string; go: () => void }): void {
  let takeBack = () => {};
  const over = () => {
    socket.off('readable', spoken).off('close', over);
    takeBack();
    options.go();
  };
  const spoken = () => {
    if (socket.readableLength === 0) return void socket.destroy();
    takeBack = turns.wait(options.source, over);
  };
  socket.once('readable', spoken).once('close', over);
}

/** Turns without any such work while others come: to take one up costs a tenth of a handshake, and the kernel keeps only so many. */
const PASSED_MAX = 8;
