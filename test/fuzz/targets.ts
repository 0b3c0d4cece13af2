import { globSync } from 'node:fs';
import { join } from 'node:path';

/** A codec under fire: `fuzz` throws only when the codec is wrong. */
export interface FuzzTarget {
  readonly name: string;
  readonly seeds: readonly Uint8Array[];
  fuzz(input: Uint8Array): void;
}

/** Every `x.fuzz.ts` of the source tree, by its path. A target that must load something first exports `prepare`. */
export async function loadTargets(): Promise<FuzzTarget[]> {
  const root = join(import.meta.dirname, '../..');
  const files = globSync('{src,sdk/src}/**/*.fuzz.ts', { cwd: root }).toSorted();
  return Promise.all(
    files.map(async (file) => {
      const module: { fuzz?: FuzzTarget['fuzz']; seeds?: FuzzTarget['seeds']; prepare?: () => Promise<void> } =
        await import(join(root, file));
      if (!module.fuzz || !module.seeds || module.seeds.length === 0)
        throw new Error(`${file} must export fuzz and at least one of seeds`);
      await module.prepare?.();
      return { name: file, seeds: module.seeds, fuzz: module.fuzz };
    }),
  );
}
