/** The psql of this machine. */
import * as fs from 'node:fs';
import * as path from 'node:path';

/** Path of the binary itself (Debian's /usr/bin/psql is a script that looks for it); undefined when there is none. */
export function psqlBinary(): string | undefined {
  const versions = fs.existsSync(DEBIAN) ? fs.readdirSync(DEBIAN).toSorted((a, b) => Number(b) - Number(a)) : [];
  const places = [
    ...versions.map((version) => path.join(DEBIAN, version, 'bin')),
    ...(process.env['PATH'] ?? '').split(path.delimiter),
  ];
  const found = places.map((place) => path.join(place, 'psql')).find((file) => fs.existsSync(file));
  return found === undefined ? undefined : fs.realpathSync(found);
}

/** True when tests that need psql may be skipped: it is absent and this is no CI run. */
export function mayLackPsql(): boolean {
  return psqlBinary() === undefined && process.env['CI'] !== 'true';
}

const DEBIAN = '/usr/lib/postgresql';
