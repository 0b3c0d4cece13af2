import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createManualClock, type ManualClock } from '../../std/index.ts';
import { openTrustFiles, type TrustFiles } from './trust-files.ts';

// Goal: whatever a user has set, clients read roots that are there as long as the command runs.

const ROOT = Buffer.from([0x30, 0x00]);
const DAY_MS = 86_400_000;
let clock: ManualClock;
let folder: string;
let opened: TrustFiles[];
let warned: string[];

beforeEach(() => {
  clock = createManualClock(Date.parse('2026-12-01T00:00:00Z'));
  folder = mkdtempSync(join(tmpdir(), 'trust-'));
  [opened, warned] = [[], []];
});
afterEach(() => {
  for (const files of opened) files.close();
  rmSync(folder, { recursive: true });
});

function open(env: Record<string, string> = {}): TrustFiles {
  const files = openTrustFiles({ rootDer: ROOT, env, clock, warn: (line) => warned.push(line) });
  opened.push(files);
  return files;
}

describe('files of roots', () => {
  it('are touched twice a day, so that nobody takes them for left behind, and are gone at the end', async () => {
    const files = open();
    const all = [...Object.values(files.variables), files.trustStore];
    const whole = [...new Set(all), dirname(files.trustStore)];
    for (const path of whole) utimesSync(path, 1, 1);
    await clock.advance(DAY_MS);
    for (const path of whole) expect(statSync(path).mtimeMs).toBe(clock.now());
    files.close();
    expect([existsSync(dirname(files.trustStore)), clock.pending()]).toEqual([false, 0]);
  });

  it('are never a device that a variable names, which would be read without end', () => {
    const { variables } = open({ GIT_SSL_CAINFO: folder, PIP_CERT: '/dev/zero' });
    expect([variables['GIT_SSL_CAINFO'], variables['PIP_CERT']]).toEqual([undefined, undefined]);
    expect(warned).toEqual([
      expect.stringMatching(/GIT_SSL_CAINFO stays as it is/),
      expect.stringMatching(/PIP_CERT stays as it is/),
    ]);
  });

  it('have our root alone where a variable says that there are none', () => {
    const { variables } = open({ SSL_CERT_FILE: '/dev/null' });
    expect(readFileSync(variables['SSL_CERT_FILE'] ?? '', 'latin1')).toMatch(/^-----BEGIN CERTIFICATE-----\nMAA=\n/);
    expect(warned).toEqual([]);
  });
});
