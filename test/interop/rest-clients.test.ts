/**
 * Programs that others make of the API's document: clients that are generated, in TypeScript and in Go, and schemathesis, which makes up requests
 * and holds every answer against what the document promises.
 */
import * as fs from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import * as path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { run } from '../support/processes.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { go } from './go-toolchain.ts';
import { installProject, python } from './project.ts';
import { mayLack, runTool } from './toolchain.ts';

const DOCUMENT = path.join(import.meta.dirname, '../../docs/reference/openapi.json');
const lacks = mayLack(go) || mayLack(python);
let stack: Stack;
let door: { readonly url: string; close(): Promise<void> };

beforeAll(async () => {
  if (lacks) return;
  stack = await startStack({ store: 'sqlite' });
  door = await openDoor(stack.folder.apiSocket);
});
afterAll(async () => {
  await door?.close();
  await stack?.stop();
});

describe.skipIf(lacks)('a client generated from the document', () => {
  let sleeping: ReturnType<Stack['psql']>;
  beforeEach(() => {
    sleeping = stack.psql('select pg_sleep(600)');
  });
  afterEach(async () => {
    expect((await sleeping).stderr).toContain('an operator ended this session');
  });
  const lists = async ([file, ...args]: readonly [string, ...string[]]) => {
    await eventually('the session', async () =>
      (await stack.cli(['session', 'list', '--json'])).stdout.includes('"shop"'),
    );
    const { stdout, stderr } = await run(file, args, { env: { API_URL: door.url, TARGET: 'shop' } });
    expect(stdout, stderr).toBe('listed, followed, ended\n');
  };

  it('by openapi-typescript is sound, and lists, follows and ends sessions', async () => {
    const folder = place('node');
    await installProject(folder);
    const bin = (name: string) => path.join(folder, 'node_modules/.bin', name);
    await runTool(bin('openapi-typescript'), [DOCUMENT, '--output', path.join(folder, 'target/api.d.ts')]);
    await runTool(bin('tsc'), ['--project', folder]);
    await lists([process.execPath, path.join(folder, 'client.mjs')]);
  });

  it('by oapi-codegen is sound, and lists, follows and ends sessions', async () => {
    const folder = place('go');
    const made = path.join(folder, 'target/api');
    fs.mkdirSync(made, { recursive: true });
    const options = ['-generate', 'types,client', '-package', 'api', '-o', path.join(made, 'api.go')];
    await runTool(go ?? 'go', ['run', GENERATOR, ...options, DOCUMENT], { GOFLAGS: '-mod=mod' });
    const program = path.join(folder, 'target/client');
    await runTool(go ?? 'go', ['-C', folder, 'build', '-buildvcs=false', '-o', program, '.']);
    await lists([program]);
  });
});

describe.skipIf(lacks)('schemathesis', () => {
  it('finds nothing that the document does not say, and no failure of the server', async () => {
    const folder = place('python');
    await installProject(folder);
    const { code, stdout } = await run(
      path.join(folder, '.venv/bin/st'),
      [
        ...['--config-file', path.join(folder, 'schemathesis.toml')],
        ...['run', DOCUMENT, '--url', door.url, '--checks', CHECKS.join(), '--continue-on-failure', '--no-color'],
        ...['--max-examples', '8', '--seed', '7', '--generation-database', 'none', '--request-timeout', '30'],
        // A stream has no end that could be waited for; links to sign in are few an hour.
        ...LEFT_OUT.flatMap((id) => ['--exclude-operation-id', id]),
      ],
      { withinMs: 500_000, env: { HOME: folder } },
    );
    expect(code, shortened(stdout)).toBe(0);
  });
});

/** The API's socket, at an address: generated clients know no Unix sockets. */
async function openDoor(socket: string) {
  const server: Server = createServer((client) => {
    const api = connect(socket);
    client.pipe(api).pipe(client);
    client.on('error', () => api.destroy()).on('close', () => api.destroy());
    api.on('error', () => client.destroy()).on('close', () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

/** Requests of thousands of characters tell no more than their beginnings. */
function shortened(text: string): string {
  return text
    .split('\n')
    .map((line) => line.slice(0, 300))
    .join('\n')
    .slice(-20_000);
}

function place(name: string): string {
  return path.join(import.meta.dirname, 'rest', name);
}

const GENERATOR = 'github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2';
const CHECKS = [
  ...['not_a_server_error', 'status_code_conformance', 'content_type_conformance', 'response_headers_conformance'],
  ...['response_schema_conformance', 'unsupported_method', 'missing_required_header', 'negative_data_rejection'],
];
/** Events are no answer that ends, and have a schema of their own; the others take away what the rest is asked with. */
const LEFT_OUT = [...liveOperations(), 'sign-in-link.create', 'resource.apply'];

function liveOperations(): readonly string[] {
  const { paths } = JSON.parse(fs.readFileSync(DOCUMENT, 'utf8'));
  const operations = Object.values<object>(paths).flatMap((methods) => Object.values(methods));
  return operations.flatMap(({ operationId, responses }) =>
    responses['200']?.content?.['text/event-stream'] === undefined ? [] : [operationId],
  );
}
