import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readOperator } from './operator.ts';

it('whoever opens the operator’s socket is told by the kernel: the user, by name and number', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'operator-'));
  const server = createServer();
  try {
    await new Promise<void>((resolve) => server.listen(join(folder, 's'), resolve));
    const accepted = once(server, 'connection');
    const client = connect(join(folder, 's'));
    client.on('error', () => {}); // It is cut below.
    const [socket] = (await accepted) as [Socket]; // What net emits with 'connection'.
    const uid = process.geteuid?.() ?? -1;
    const operator = readOperator(socket);
    expect(operator?.uid).toBe(uid);
    expect(operator?.text).toMatch(new RegExp(`^(\\S+ \\(uid ${uid}\\)|uid ${uid})(, logged in as .+)?$`));
    socket.destroy();
    expect(readOperator(socket)).toBeUndefined();
  } finally {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
