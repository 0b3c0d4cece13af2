/** Programs with an address built in, unchanged, by `countersign run --proxy`. The agent's socket is a server that says what it was asked. */
import * as fs from 'node:fs';
import * as http from 'node:http';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../support/processes.ts';
import { go } from '../go-toolchain.ts';
import { installProject, python, pythonOf } from '../project.ts';
import { commandIn, mayLack, runTool } from '../toolchain.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'built-in-'));
const source = (name: string) => path.join(import.meta.dirname, name);
const java = commandIn([], 'java');
const PROGRAMS = [
  {
    ...{ name: 'requests of Python', tool: python },
    async build() {
      await installProject(source('python'));
      return [pythonOf(source('python')), '-B', source('built-in/built_in.py')];
    },
  },
  {
    ...{ name: 'net/http of Go', tool: go },
    async build() {
      const program = path.join(folder, 'program');
      await runTool(go ?? 'go', ['build', '-o', program, source('built-in/main.go')]);
      return [program];
    },
  },
  {
    ...{ name: 'HttpClient of Java', tool: java },
    build: async () => [java ?? 'java', source('built-in/BuiltIn.java')],
  },
];
const agent = http.createServer((request, response) => response.end(`${request.headers.host}${request.url}`));

beforeAll(async () => {
  fs.mkdirSync(path.join(folder, 'api'));
  fs.writeFileSync(path.join(folder, 'api/hosts'), 'api.example.org\n');
  await new Promise<void>((resolve) => agent.listen(path.join(folder, 'api/http.sock'), resolve));
});
afterAll(() => {
  agent.closeAllConnections();
  agent.close();
  fs.rmSync(folder, { recursive: true, force: true });
});

describe.each(PROGRAMS.filter(({ tool }) => !mayLack(tool)))('$name', ({ build }) => {
  it('comes to the target, whose certificate it takes', async () => {
    const executable = path.join(import.meta.dirname, '../../../bin/countersign.js');
    const words = [executable, 'run', '--targets-dir', folder, '--proxy', '--', ...(await build())];
    const { stdout, stderr, code } = await run(process.execPath, words);
    expect({ stdout, code }, stderr).toEqual({ stdout: '200 api.example.org/v1/customers\n', code: 0 });
  });
});
