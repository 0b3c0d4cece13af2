import { parseAddresses } from '../config/index.ts';
import type { Random } from '../std/index.ts';

/**
 * The servers that a role is told of, in an order of its own: roles spread over them, each comes to the same one as long as that is there, and those of one
 * that went spread over all others. A connection lasts some minutes, so they are back soon after it is.
 */
export function serverAddresses(text: string, random: Pick<Random, 'fraction'>) {
  const weighed = parseAddresses(text).map((address) => ({ address, weight: random.fraction() }));
  const [first, ...others] = weighed.toSorted((a, b) => a.weight - b.weight).map(({ address }) => address);
  if (first === undefined) throw new RangeError('an address was checked to be there'); // A text that is split is one part at least.
  return { ...first, others };
}
