import { chmodSync, closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What the suite of the family must know of this sink. */
export const conformance = {
  async open() {
    const folder = mkdtempSync(join(tmpdir(), 'cs-sink-'));
    const path = join(folder, 'events.jsonl');
    return {
      config: { path },
      secrets: {},
      async taken(): Promise<readonly string[]> {
        if (!existsSync(path)) return [];
        const lines = readFileSync(path, 'utf8').split('\n');
        return lines.filter((line) => line !== '').map((line) => JSON.parse(line).metadata.uid);
      },
      /** Readable by others, it is written no more. */
      async breakIt() {
        closeSync(openSync(path, 'a'));
        chmodSync(path, 0o644);
      },
      async mendIt() {
        chmodSync(path, 0o600);
      },
      /** A file refuses nothing. */
      refuse: undefined,
      async close() {
        rmSync(folder, { recursive: true, force: true });
      },
    };
  },
};
