/** The tests of libpq's pipeline mode, by the program that PostgreSQL tests it with. */
import * as path from 'node:path';
import { command, mustRun } from '../command.ts';
import type { Outcome, Suite } from '../suite.ts';
import { postgresSource } from './postgres-source.ts';

export const libpqPipeline: Suite = {
  name: 'libpq-pipeline',
  judge: 'passes',
  databases: [{ name: 'pipeline' }],
  fetch: postgresSource,
  async units(source) {
    const listed = await mustRun(program(source), ['tests'], { cwd: source, env: environment(source) });
    return listed.split('\n').filter((line) => line !== '');
  },
  async run({ source, units, place }) {
    const outcomes = new Map<string, Outcome>();
    for (const name of units) {
      const ended = await command(program(source), [name, 'dbname=pipeline'], {
        ...{ cwd: source, env: { ...place.env, ...environment(source) }, withinMs: TEST_MS_MAX },
      });
      const text = `${ended.stdout}${ended.stderr}`;
      outcomes.set(name, { status: ended.code === 0 ? 'passed' : 'failed', text });
    }
    return outcomes;
  },
};

function program(source: string): string {
  return path.join(source, 'src/test/modules/libpq_pipeline/libpq_pipeline');
}

function environment(source: string): Record<string, string> {
  return { LD_LIBRARY_PATH: path.join(source, 'src/interfaces/libpq') };
}

const TEST_MS_MAX = 2 * 60_000;
