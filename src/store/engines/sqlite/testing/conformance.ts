import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What the conformance suite of store engines needs of this one: empty databases. */
export const conformance = {
  async open() {
    return {
      async createDatabase() {
        const folder = mkdtempSync(join(tmpdir(), 'cs-store-'));
        return {
          config: { file: join(folder, 'a.db') },
          env: {},
          remove: async () => rmSync(folder, { recursive: true }),
        };
      },
      close: async () => {},
    };
  },
};
