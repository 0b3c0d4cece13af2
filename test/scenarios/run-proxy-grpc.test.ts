/** A gRPC client with the address of a target built in, unchanged, by `countersign run --proxy`. The agent's socket is a gRPC server. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { run } from '../support/processes.ts';

const root = join(import.meta.dirname, '../..');
const raw = { serialize: (bytes: Buffer) => bytes, deserialize: (bytes: Buffer) => bytes };
const METHOD = {
  ...{ path: '/shop.Shop/Echo', requestStream: false, responseStream: true },
  ...{ requestSerialize: raw.serialize, requestDeserialize: raw.deserialize },
  ...{ responseSerialize: raw.serialize, responseDeserialize: raw.deserialize },
};
const server = new Server();
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'proxy-grpc-'));
  mkdirSync(join(folder, 'api'));
  writeFileSync(join(folder, 'api/hosts'), 'api.example.org\n');
  server.addService(
    { Echo: METHOD },
    {
      Echo(call: { request: Buffer; write(bytes: Buffer): void; end(): void }) {
        call.write(call.request);
        call.write(call.request);
        call.end();
      },
    },
  );
  await new Promise<void>((resolve, reject) =>
    server.bindAsync(`unix://${join(folder, 'api/http.sock')}`, ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(error),
    ),
  );
});
afterAll(() => {
  server.forceShutdown();
  rmSync(folder, { recursive: true, force: true });
});

it('comes to the target by TLS, whose certificate it takes: grpc-js', async () => {
  const script = `
    const grpc = require('@grpc/grpc-js');
    const raw = (bytes) => bytes;
    const client = new grpc.Client('api.example.org:443', grpc.credentials.createSsl());
    const call = client.makeServerStreamRequest('/shop.Shop/Echo', raw, raw, Buffer.from('hello'), { deadline: Date.now() + 20000 });
    call.on('data', (bytes) => console.log(String(bytes))).on('error', (error) => console.log(error.message));
    call.on('status', ({ code }) => { console.log('status ' + code); client.close(); });
  `;
  const words = [join(root, 'bin/countersign.js'), 'run', '--targets-dir', folder, '--proxy', '--'];
  const { stdout, stderr, code } = await run(process.execPath, [...words, process.execPath, '-e', script], {
    env: { NODE_PATH: join(root, 'node_modules') },
  });
  expect({ stdout, code }, stderr).toEqual({ stdout: 'hello\nhello\nstatus 0\n', code: 0 });
});
