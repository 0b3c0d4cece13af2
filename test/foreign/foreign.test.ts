/**
 * Tools of registries, unmodified: what each prints through the agent must be what it prints directly, with a policy that permits all and with a
 * mask on a table that none of them touches. Those that the ratchet knows to differ are run and not judged.
 */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { debianPostgres } from '../interop/drivers/debian-postgres.ts';
import { mayLack } from '../interop/toolchain.ts';
import { openPlace, type Place } from './place.ts';
import { knownByName } from './ratchet.ts';
import { toolNames, tools } from './suites/tools.ts';

const MODES = ['all', 'mask'] as const;
const cache = path.join(import.meta.dirname, '../../.cache/foreign');

describe.skipIf(mayLack(debianPostgres()))('tools that nobody here wrote', () => {
  const places = new Map<string, Place>();
  let source: string;

  beforeAll(async () => {
    source = await tools.fetch(cache);
    for (const mode of ['direct', ...MODES] as const) places.set(mode, await openPlace({ mode, ...tools }));
  });
  afterAll(async () => {
    for (const place of places.values()) await place[Symbol.asyncDispose]();
  });

  /** What a tool prints there. */
  const printed = async (tool: string, mode: string) => {
    const place = places.get(mode);
    if (place === undefined) throw new Error(`${mode} is not open`);
    const work = fs.mkdtempSync(path.join(os.tmpdir(), 'cs-foreign-'));
    const outcomes = await tools.run({ source, units: [tool], place, work });
    fs.rmSync(work, { recursive: true, force: true });
    return outcomes.get(tool)?.text;
  };

  it.each(toolNames())('%s does through the gateway what it does directly', async (tool) => {
    const wanted = await printed(tool, 'direct');
    expect(wanted).toMatch(/ended with 0\n$/);
    for (const mode of MODES) {
      const found = await printed(tool, mode);
      if (knownByName('tools', mode)?.includes(tool) !== true) expect({ mode, found }).toEqual({ mode, found: wanted });
    }
  });
});
