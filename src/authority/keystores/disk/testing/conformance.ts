import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What the conformance suite of keystores needs to know of this one. */
export const conformance = {
  durable: true,
  config: () => ({ directory: mkdtempSync(join(tmpdir(), 'keystore-')) }),
  remove: (config: { directory: string }) => rmSync(config.directory, { recursive: true, force: true }),
};
