/**
 * Tools of registries, each a folder of `../tools/`: `run.sh` and a few lines of project. What the folder holds besides says what is
 * installed first: `package.json` by npm, `requirements.txt` by pip into `.venv`, `pom.xml` by Maven, which also compiles it. One unit a tool; it must
 * print the same as directly.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { compileJava, installProject } from '../../interop/project.ts';
import { command } from '../command.ts';
import type { Place } from '../place.ts';
import type { Outcome, Suite } from '../suite.ts';

const TOOLS = path.join(import.meta.dirname, '../tools');

export const tools: Suite = {
  name: 'tools',
  login: 'shop_app',
  judge: 'same',
  serverArgs: ['-c', 'max_prepared_transactions=5', '-c', 'wal_level=logical'],
  databases: toolNames().map((name) => ({ name: databaseOf(name) })),
  async fetch(cache) {
    const prepared = path.join(cache, 'tools');
    fs.mkdirSync(prepared, { recursive: true });
    return prepared;
  },
  units: async () => toolNames(),
  async run({ source, units, place, work }) {
    const outcomes = new Map<string, Outcome>();
    for (const tool of units) outcomes.set(tool, await runTool(tool, { prepared: source, place, work }));
    return outcomes;
  },
};

/** All tools there are. */
export function toolNames(): string[] {
  const entries = fs.readdirSync(TOOLS, { withFileTypes: true });
  return entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])).toSorted();
}

function databaseOf(tool: string): string {
  return tool.replaceAll('-', '_');
}

async function runTool(tool: string, at: { prepared: string; place: Place; work: string }): Promise<Outcome> {
  const { place } = at;
  const folder = await prepare(at.prepared, tool);
  const work = path.join(at.work, tool);
  fs.mkdirSync(work);
  const env = {
    ...{ ...place.env, PGDATABASE: databaseOf(tool), TCP_PORT: String(place.port), WORK: work, BIN: place.bin },
    ...{ BESIDE_HOST: place.beside.PGHOST, BESIDE_PORT: place.beside.PGPORT },
  };
  const { code, stdout, stderr } = await command('/bin/sh', ['run.sh'], { cwd: folder, env, withinMs: TOOL_MS_MAX });
  const text = `${stdout}${stderr}ended with ${code}\n`
    .replaceAll(place.env.PGHOST, 'HOST')
    .replaceAll(at.work, 'WORK')
    .replaceAll(new RegExp(`\\b(${place.port}|${place.env.PGPORT})\\b`, 'g'), 'PORT');
  return { status: code === 0 ? 'passed' : 'failed', text };
}

/** A copy of the tool's folder with what it needs installed. */
async function prepare(prepared: string, tool: string): Promise<string> {
  const to = path.join(prepared, tool);
  fs.cpSync(path.join(TOOLS, tool), to, { recursive: true });
  await installProject(to);
  if (fs.existsSync(path.join(to, 'pom.xml'))) await compileJava(to);
  return to;
}

const TOOL_MS_MAX = 5 * 60_000;
