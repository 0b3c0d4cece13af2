/**
 * The client of the tour at an API: Node's own HTTP client, and no key. Prints what it saw as JSON, with every byte of the answers (base64).
 * Argument: folder of the target's socket.
 */
import { Agent, request } from 'node:http';
import { join } from 'node:path';

const [folder = ''] = process.argv.slice(2);
const socketPath = join(folder, 'http.sock');
const agent = new Agent({ keepAlive: true, maxSockets: 1 });
const received: Buffer[] = [];

function ask(method: string, path: string): Promise<{ status: number; body: unknown }> {
  return new Promise((resolve, reject) => {
    const asked = request({ agent, socketPath, method, path, host: 'api' }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => void chunks.push(chunk));
      response.on('end', () => {
        received.push(Buffer.from(response.rawHeaders.join('\n')), ...chunks);
        resolve({ status: response.statusCode ?? 0, body: JSON.parse(Buffer.concat(chunks).toString()) });
      });
    });
    asked.on('error', reject);
    asked.end();
  });
}

const seen: Record<string, unknown> = {};
try {
  seen['read'] = await ask('GET', '/v1/customers/1');
  seen['denied'] = await ask('DELETE', '/v1/customers/1');
} catch (error) {
  seen['error'] = error instanceof Error ? error.message : String(error);
}
agent.destroy();
seen['received'] = Buffer.concat(received).toString('base64');
process.stdout.write(`${JSON.stringify(seen)}\n`);
