import type { Duplex } from 'node:stream';

/**
 * Carries bytes both ways until both sides have ended: a slow reader slows the writer down, one side's end is passed on while the
 * other may still speak, and an error on one side ends both. Takes over both streams.
 */
export function carry(a: Duplex, b: Duplex): Promise<void> {
  return new Promise((resolve) => {
    let open = 2;
    const closed = () => {
      if (--open === 0) resolve();
    };
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      from.once('error', () => to.destroy());
      from.once('close', () => {
        // A close without an end before it cut something off; the other side must not take it for a proper end.
        if (!from.readableEnded) to.destroy();
        closed();
      });
      from.pipe(to);
    }
  });
}
