/** PostgreSQL's own source, as Debian packages it, with the test programs built. They run against the server of Debian's package. */
import * as fs from 'node:fs';
import { mustRun } from '../command.ts';
import { debianSource, once } from '../sources.ts';

/** The folder of the built source. It has the version that Debian's main archive has: security updates keep no sources for long. */
export async function postgresSource(cache: string, given?: string): Promise<string> {
  const source = given ?? (await debianSource(cache, 'postgresql-15', await mainVersion()));
  return once(cache, 'postgresql-15-built', async () => {
    const make = (folder: string, ...goals: string[]) =>
      mustRun('make', ['-s', '-C', folder, ...goals], { cwd: source });
    await mustRun('./configure', ['--quiet', '--without-readline', '--without-zlib'], { cwd: source });
    await make('src/backend', 'generated-headers');
    await make('src/test/isolation', 'isolationtester');
    await make('src/test/regress', 'regress.so');
    await make('src/test/modules/libpq_pipeline', 'libpq_pipeline');
    return source;
  });
}

/** Tests in the order of a schedule (`test: a b c`, one line after the other). */
export function scheduled(file: string): string[] {
  const lines = fs.readFileSync(file, 'utf8').split('\n');
  return lines.flatMap((line) => /^test:(.*)/.exec(line)?.[1]?.trim().split(/\s+/) ?? []);
}

/** Output without what differs from run to run, whoever runs it. */
export function steady(text: string): string {
  return text
    .replaceAll(/psql:[^ ]*\/(\w+\.sql):/g, 'psql:$1:')
    .replaceAll(/server process with PID \d+/g, 'server process with PID N')
    .replaceAll(/(Execution|Planning) Time: [\d.]+ ms/g, '$1 Time: N ms');
}

/** The oldest version on offer: that of the release itself. */
async function mainVersion(): Promise<string | undefined> {
  const told = await mustRun('apt-cache', ['madison', 'postgresql-15'], { cwd: '/' });
  const versions = told.split('\n').flatMap((line) => line.split('|')[1]?.trim() ?? []);
  return versions.at(-1);
}
